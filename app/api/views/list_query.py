"""Lists by pages: what may be asked, and the cursor that goes on."""

import re
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.domain.access.api_keys import OWNER_PATTERN
from app.domain.access.signing import Cursors
from app.domain.ids import first_id_at
from app.domain.media import MEDIA_TYPES
from app.domain.models import Status
from app.domain.ports import ListQuery
from app.domain.text import normal_text
from app.domain.uploads.descriptions import AS_WRITTEN, TAG_CHARACTERS

MOST = 200
USUAL = 50

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_LOST_PLUS = re.compile(r" (?=\d\d:\d\d$)")  # a "+" that was not written %2B


def _moment(text: object) -> object:
    if not isinstance(text, str):
        return text
    candidate = _LOST_PLUS.sub("+", text) if "T" in text else text
    if not _RFC3339.fullmatch(candidate):
        raise ValueError("must be a date and time with a zone, such as 2026-11-22T10:00:00Z (RFC 3339)")
    return candidate.upper()


def _tag(text: object) -> object:
    """As tags are kept; what is too long for one however it is written is left to the bound."""
    if isinstance(text, str) and len(text) <= AS_WRITTEN * TAG_CHARACTERS:
        return normal_text(text)
    return text


Owner = Annotated[str, Field(pattern=OWNER_PATTERN, json_schema_extra={"examples": ["ann"]})]
Moment = Annotated[datetime, BeforeValidator(_moment), Field(json_schema_extra={"examples": ["2026-11-22T10:00:00Z"]})]


class ListParameters(BaseModel):
    """The query of a list. A name that is not here is refused: a filter with a slip in it must not list everything."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=USUAL, ge=1, le=MOST, description="Images a page.")
    cursor: str | None = Field(default=None, description="`next_cursor` of the page before.")
    status: Status | None = None
    tag: Annotated[str | None, BeforeValidator(_tag)] = Field(default=None, min_length=1, max_length=TAG_CHARACTERS)
    content_type: Literal[MEDIA_TYPES] | None = None  # type: ignore[valid-type]  # a tuple of literals, known at run time
    uploaded_after: Moment | None = Field(default=None, description="At this time or later.")
    uploaded_before: Moment | None = Field(default=None, description="Before this time.")
    owner: Owner | None = Field(
        default=None, description="Whose images: another's than the caller's own needs the scope `admin`."
    )
    order: Literal["desc", "asc"] = Field(default="desc", description="`desc` is newest first.")

    def bound(self, owner: str) -> dict[str, object]:
        """Return the query that a cursor is bound to: everything except page size and position."""
        filters = self.model_dump(mode="json", exclude={"limit", "cursor", "owner"}, exclude_none=True)
        return {"owner": owner, **filters}

    def query(self, owner: str, cursors: Cursors) -> ListQuery:
        """The query as the repository takes it. Raises `Malformed` for a cursor of another list."""
        return ListQuery(
            owner=owner,
            limit=self.limit,
            descending=self.order == "desc",
            after=None if self.cursor is None else cursors.read(self.cursor, self.bound(owner)),
            since=None if self.uploaded_after is None else first_id_at(self.uploaded_after),
            until=None if self.uploaded_before is None else first_id_at(self.uploaded_before),
            status=self.status,
            tag=self.tag,
            content_type=self.content_type,
        )


Listing = Annotated[ListParameters, Query()]
