"""A page of records as JSON, of a size that every way out can carry."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from app.api.views.image import ImageView

#: What the records of a page may weigh at most. An answer of a function may weigh 6 MB, written as a JSON string.
PAGE_BYTES = 5_000_000


@dataclass(frozen=True)
class Records:
    """Records as the text of a JSON array; `cut_after` is the id of the last one when there was room for no more."""

    json: str
    cut_after: str | None


def records(shown: Iterable[ImageView]) -> Records:
    """As many of the records as fit into a page, at least one."""
    texts: list[str] = []
    size = 0
    last = None
    for image in shown:
        text = image.model_dump_json()
        size += len(json.dumps(text))  # as a function's runtime writes it: a string, and in ASCII alone
        if last is not None and size > PAGE_BYTES:
            return Records(f"[{','.join(texts)}]", last)
        texts.append(text)
        last = image.id
    return Records(f"[{','.join(texts)}]", None)
