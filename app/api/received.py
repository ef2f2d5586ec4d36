"""What a body reader makes of a body, and what any body reader does."""

from dataclasses import dataclass
from typing import Protocol

from app.api.fields import Words


@dataclass(frozen=True)
class Received:
    """An upload's body without its picture, whose bytes are in the spool."""

    filename: str | None
    declared_type: str | None
    words: Words


class BodyReader(Protocol):
    """Takes a body apart as it comes, with the picture going into a spool."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes in. Raises a `RequestError` as soon as it is clear that the body cannot be taken."""

    def finish(self) -> Received:
        """The body has ended. Raises a `RequestError` if it should not have, or lacks something."""
