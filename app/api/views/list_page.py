"""Items of a list as JSON, at most as large as a Lambda function can return."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from app.api.views.image import ImageView

#: Maximum size of the items in bytes. A function can return 6 MB, with the body as a JSON string.
PAGE_BYTES = 5_000_000


@dataclass(frozen=True)
class PageItems:
    """Items as a JSON array. `cut_after` is the id of the last item if the maximum size ended the page."""

    json: str
    cut_after: str | None


def write_items(views: Iterable[ImageView]) -> PageItems:
    """Write as many items as fit into the maximum size, at least one."""
    texts: list[str] = []
    size = 0
    last = None
    for image in views:
        text = image.model_dump_json()
        size += len(json.dumps(text))  # as the runtime of a function sends it: an ASCII string
        if last is not None and size > PAGE_BYTES:
            return PageItems(f"[{','.join(texts)}]", last)
        texts.append(text)
        last = image.id
    return PageItems(f"[{','.join(texts)}]", None)
