"""Items of a list as JSON, at most as large as a Lambda function can return."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, Self

#: Maximum size of the items in bytes. A function can return 6 MB, with the body as a JSON string.
PAGE_BYTES = 5_000_000


class PageItems(NamedTuple):
    """Items as JSON. `cut_after` is the id of the last item if the maximum size ended the page."""

    texts: Sequence[bytes]
    cut_after: str | None

    def body(self, **members: Any) -> bytes:
        """Return a JSON object of `items` and further members. It is large, so it is copied once only."""
        rest = json.dumps(members, separators=(",", ":"))[1:].encode()
        pieces = [piece for text in self.texts for piece in (b",", text)][1:]
        return b"".join([b'{"items":[', *pieces, b"],", rest])


class Item(Protocol):
    """Item of a list as JSON. `sent_bytes` is its `sent_size`."""

    @property
    def id(self) -> str:
        """Id of the image."""

    @property
    def json(self) -> bytes:
        """The JSON."""

    @property
    def sent_bytes(self) -> int:
        """Size of the JSON as it is sent."""


class JsonItem(NamedTuple):
    """An `Item` that is made for one list."""

    id: str
    json: bytes
    sent_bytes: int

    @classmethod
    def build(cls, image_id: str, text: str) -> Self:
        """Build the item from its JSON."""
        return cls(image_id, text.encode(), sent_size(text))


def sent_size(text: str) -> int:
    """Return the size of a JSON text as the runtime of a function sends it: an ASCII string."""
    if text.isascii():
        return len(text) + text.count('"') + text.count("\\") + 5 * text.count("\x7f") + 2
    return len(json.dumps(text))


def join_items(items: Iterable[Item]) -> PageItems:
    """Join as many items as fit into the maximum size, at least one."""
    texts: list[bytes] = []
    size = 0
    last = None
    for item in items:
        size += item.sent_bytes
        if last is not None and size > PAGE_BYTES:
            break
        texts.append(item.json)
        last = item.id
    else:
        last = None
    return PageItems(texts, last)
