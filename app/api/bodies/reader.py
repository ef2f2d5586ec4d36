"""The interface of body readers, and their result."""

from dataclasses import dataclass
from typing import Protocol

from app.domain.uploads.descriptions import Description


@dataclass(frozen=True)
class Received:
    """An upload's body without its image, whose bytes are in the spool.

    `ignored` names the fields that are not known, as the client wrote them.
    """

    filename: str | None
    declared_content_type: str | None
    words: Description
    ignored: tuple[str, ...] = ()


class BodyReader(Protocol):
    """Reads a body as it comes; the image goes into a spool."""

    @property
    def max_bytes(self) -> int:
        """The most bytes that the body can have; less than before once the reader knows more about the body."""

    @property
    def kept_bytes(self) -> int:
        """How many bytes of the body are in memory beside the image."""

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes. Raises a `RequestError` as soon as it is clear that the body cannot be accepted."""

    def finish(self) -> Received:
        """End the body. Raises a `RequestError` if it is incomplete or lacks something."""
