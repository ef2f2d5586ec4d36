"""Items of a list as JSON, at most as large as a Lambda function can return."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

#: Maximum size of the items in bytes. A function can return 6 MB, with the body as a JSON string.
PAGE_BYTES = 5_000_000


@dataclass(frozen=True)
class PageItems:
    """Items as a JSON array. `cut_after` is the id of the last item if the maximum size ended the page."""

    json: str
    cut_after: str | None


class Item(Protocol):
    """Model of an item of a list."""

    @property
    def id(self) -> str:
        """Id of the image."""

    def model_dump_json(self) -> str:
        """Write the item as JSON."""


def write_items(items: Iterable[Item]) -> PageItems:
    """Write as many items as fit into the maximum size, at least one."""
    texts: list[str] = []
    size = 0
    last = None
    for item in items:
        text = item.model_dump_json()
        size += len(json.dumps(text))  # as the runtime of a function sends it: an ASCII string
        if last is not None and size > PAGE_BYTES:
            return PageItems(f"[{','.join(texts)}]", last)
        texts.append(text)
        last = item.id
    return PageItems(f"[{','.join(texts)}]", None)
