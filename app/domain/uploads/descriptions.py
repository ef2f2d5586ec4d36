"""Description of an image by its uploader."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from app.domain.models import FocalPoint, Visibility
from app.domain.uploads.field_values import (
    ALT_CHARACTERS,
    TITLE_CHARACTERS,
    merge_focal_point,
    merge_metadata,
    parse_focal_point,
    parse_metadata,
    parse_tags,
    parse_text,
    parse_visibility,
)

#: Fields of a form or a JSON document that describe the image.
NAMES = ("title", "alt", "tags", "metadata", "focal_point", "visibility")

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")


class Description(NamedTuple):
    """Facts about an image that its uploader states. Without `visibility` the service's default applies."""

    title: str | None = None
    alt: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = MappingProxyType({})
    focal_point: FocalPoint | None = None
    visibility: Visibility | None = None

    @classmethod
    def parse(cls, members: Mapping[str, Any]) -> "Description":
        """Check and normalize the members that `NAMES` lists, as JSON has them. A null member counts as absent.

        Raises `Invalid` with the field, the value found and the limit.
        """
        given = {name: members[name] for name in NAMES if members.get(name) is not None}
        metadata = parse_metadata(given.get("metadata", {}))
        return cls(
            title=parse_text("title", given.get("title"), TITLE_CHARACTERS),
            alt=parse_text("alt", given.get("alt"), ALT_CHARACTERS),
            tags=parse_tags(given.get("tags")),
            metadata=merge_metadata({}, metadata),
            focal_point=(
                merge_focal_point(None, parse_focal_point(given["focal_point"])) if "focal_point" in given else None
            ),
            visibility=parse_visibility(given["visibility"]) if "visibility" in given else None,
        )


NO_DESCRIPTION = Description()


def parse_media_type(declared: str | None) -> str | None:
    """Return a declared media type in lower case without parameters, or None if it is malformed."""
    word = (declared or "")[:256].partition(";")[0].strip().lower()
    return word if _MEDIA_TYPE.fullmatch(word) else None
