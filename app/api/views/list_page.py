"""Items of a list as JSON, at most as large as a Lambda function can return."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

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
    """Item of a list as JSON."""

    @property
    def id(self) -> str:
        """Id of the image."""

    @property
    def json(self) -> bytes:
        """The JSON."""


class JsonItem(NamedTuple):
    """An `Item` that is made for one list."""

    id: str
    json: bytes


def join_items(items: Iterable[Item]) -> PageItems:
    """Join as many items as fit into the maximum size, at least one."""
    texts: list[bytes] = []
    most = size = measured = 0
    last = None
    for item in items:
        texts.append(item.json)
        most += _most_size(item.json)
        if most > PAGE_BYTES:  # else all of them fit
            size += sum(map(_sent_size, texts[measured:]))
            measured = len(texts)
            if last is not None and size > PAGE_BYTES:
                texts.pop()
                break
        last = item.id
    else:
        last = None
    return PageItems(texts, last)


def _sent_size(text: bytes) -> int:
    """Return the size of a JSON text as the runtime of a function sends it: an ASCII string."""
    if text.isascii():
        return len(text) + text.count(b'"') + text.count(b"\\") + 5 * text.count(b"\x7f") + 2
    return len(json.dumps(text.decode()))


def _most_size(text: bytes) -> int:
    """Return an upper bound of `_sent_size`, which takes much longer: no byte becomes more than 6 characters."""
    return 6 * len(text) + 2
