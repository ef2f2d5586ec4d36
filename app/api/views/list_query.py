"""Query parameters of lists."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.datastructures import QueryParams

from app.domain.access.api_keys import OWNER_PATTERN
from app.domain.access.signing import Cursors
from app.domain.ids import first_id_at
from app.domain.media import MEDIA_TYPES
from app.domain.models import Status, Visibility
from app.domain.ports import ListQuery
from app.domain.text import normal_text
from app.domain.uploads.field_values import RAW_FACTOR, TAG_CHARACTERS

MAX_LIMIT = 200
DEFAULT_LIMIT = 50
#: Maximum number of tags that an image of a list must have.
MAX_TAGS = 10

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_LOST_PLUS = re.compile(r" (?=\d\d:\d\d$)")  # a "+" that was not encoded as %2B


def _check_timestamp(text: object) -> object:
    if not isinstance(text, str):
        return text
    candidate = _LOST_PLUS.sub("+", text) if "T" in text else text
    if not _RFC3339.fullmatch(candidate):
        raise ValueError("must be a date and time with a zone, such as 2026-11-22T10:00:00Z (RFC 3339)")
    return candidate.upper()


def _normalize_tag(text: object) -> object:
    """Normalize a tag as stored tags are. A text that is too long in any form is left to the length check."""
    if isinstance(text, str) and len(text) <= RAW_FACTOR * TAG_CHARACTERS:
        return normal_text(text)
    return text


def _without_duplicates(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


Tag = Annotated[str, Field(min_length=1, max_length=TAG_CHARACTERS), BeforeValidator(_normalize_tag)]
Owner = Annotated[str, Field(pattern=OWNER_PATTERN, json_schema_extra={"examples": ["ann"]})]
Timestamp = Annotated[
    datetime, BeforeValidator(_check_timestamp), Field(json_schema_extra={"examples": ["2026-11-22T10:00:00Z"]})
]


class ListParameters(BaseModel):
    """Query of a list. Unknown names are refused: a misspelled filter must not list everything."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Images per page.")
    cursor: str | None = Field(default=None, description="`next_cursor` of the previous page.")
    status: Status | None = None
    tag: Annotated[list[Tag], AfterValidator(_without_duplicates)] = Field(
        default=[],
        max_length=MAX_TAGS,
        description="Tag that the images have. Repeat it for images that have all of several tags: `tag=sea&tag=dusk`.",
    )
    content_type: Literal[MEDIA_TYPES] | None = None  # type: ignore[valid-type]  # a tuple of literals, known at run time
    visibility: Visibility | None = None
    trashed: bool = Field(default=False, description="List the trash instead of all other images.")
    uploaded_after: Timestamp | None = Field(default=None, description="At this time or later.")
    uploaded_before: Timestamp | None = Field(default=None, description="Before this time.")
    owner: Owner | None = Field(
        default=None,
        description="List the images of this owner. Any but your own needs the scope `admin`.",
    )
    order: Literal["desc", "asc"] = Field(default="desc", description="`desc` is newest first.")

    def cursor_scope(self, owner: str) -> dict[str, object]:
        """Return the parameters that a cursor is valid for: all except the size and position of the page. The order of
        tags does not matter."""
        filters = self.model_dump(exclude={"limit", "cursor", "owner", "order"}, exclude_defaults=True, mode="json")
        return {"owner": owner, "order": self.order, **filters, "tag": sorted(self.tag)}

    def next_page(self, cursor: str) -> list[tuple[str, Any]]:
        """Return the query of the next page."""
        given = self.model_dump(mode="json", exclude_unset=True) | {"cursor": cursor}
        values = ((name, value if isinstance(value, list) else [value]) for name, value in given.items())
        return [(name, str(each).lower() if isinstance(each, bool) else each) for name, many in values for each in many]

    def build_query(self, owner: str, cursors: Cursors) -> ListQuery:
        """Build the query for the repository. Raises `Malformed` for a cursor of another list."""
        return ListQuery(
            owner=owner,
            limit=self.limit,
            descending=self.order == "desc",
            after=None if self.cursor is None else cursors.read(self.cursor, self.cursor_scope(owner)),
            since=None if self.uploaded_after is None else first_id_at(self.uploaded_after),
            until=None if self.uploaded_before is None else first_id_at(self.uploaded_before),
            status=self.status,
            tags=tuple(self.tag),
            content_type=self.content_type,
            visibility=self.visibility,
            trashed=self.trashed,
        )


def read_parameters(query: QueryParams) -> ListParameters | None:
    """Return the parameters of a list; None if one is invalid."""
    values: dict[str, Any] = dict(query)
    if "tag" in values:
        values["tag"] = query.getlist("tag")
    try:
        return ListParameters.model_validate(values)
    except ValidationError:
        return None


ListParametersDep = Annotated[ListParameters, Query()]
