"""Interface of body readers, and their result."""

from typing import NamedTuple, Protocol

from app.domain.uploads.descriptions import Description


class UploadFields(NamedTuple):
    """Fields of an upload, whose image is in the spool. `ignored` are the names of unknown fields, as sent.

    `owner` is the owner that an admin names. With `url`, the spool is empty: the image is there.
    """

    filename: str | None
    declared_content_type: str | None
    description: Description
    owner: str | None = None
    ignored: tuple[str, ...] = ()
    url: str | None = None


class BodyReader(Protocol):
    """Streaming reader of a body, which writes the image into a spool."""

    @property
    def max_bytes(self) -> int:
        """Most bytes that the body may have. It may decrease while the body is read."""

    @property
    def kept_bytes(self) -> int:
        """Bytes of the body in memory, in addition to the image."""

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes. Raises a `RequestError` as soon as the body is known to be unacceptable."""

    def finish(self) -> UploadFields:
        """End the body. Raises a `RequestError` if it is incomplete."""
