"""Changes of the description of images: a JSON merge patch of one (RFC 7396), and one change of many."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.errors import Invalid
from app.domain.models import Changes, Image
from app.domain.uploads.descriptions import NAMES
from app.domain.uploads.field_values import (
    ALT_CHARACTERS,
    TITLE_CHARACTERS,
    check_tags,
    check_text,
    merge_focal_point,
    merge_metadata,
    parse_focal_point,
    parse_metadata,
    parse_tags,
    parse_text,
    parse_visibility,
    unknown_fields,
    wrong_type,
)
from app.domain.uploads.filenames import display_name

#: Fields that a patch may have.
FIELDS = (*NAMES, "filename")
#: Fields that a change of many images may have.
BULK_FIELDS = ("add_tags", "remove_tags", "visibility", "metadata")

#: Parsers of the fields. Those of objects keep None for a member that is removed.
_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "title": lambda value: parse_text("title", value, TITLE_CHARACTERS),
    "alt": lambda value: parse_text("alt", value, ALT_CHARACTERS),
    "tags": lambda value: list(parse_tags(value)),
    "metadata": lambda value: None if value is None else parse_metadata(value),
    "focal_point": lambda value: None if value is None else parse_focal_point(value),
    "visibility": parse_visibility,
    "filename": lambda value: display_name(check_text("filename", value)),
}


@dataclass(frozen=True)
class Patch:
    """JSON merge patch of a record: a member replaces a field, null removes its value, and objects are merged."""

    members: Mapping[str, Any]

    @classmethod
    def parse(cls, members: Mapping[str, Any]) -> "Patch":
        """Check and normalize the members of a patch. Raises `Invalid`."""
        if unknown := members.keys() - set(FIELDS):
            raise unknown_fields(unknown, FIELDS)
        return cls({name: _PARSERS[name](value) for name, value in members.items()})

    def apply(self, image: Image) -> Changes:
        """Return the fields that differ from the record, with their new values.

        Raises `Invalid` if the result is over a limit, or would have half a focal point.
        """
        result = dict(self.members)
        if "metadata" in result:
            result["metadata"] = _merged_metadata(image, result["metadata"])
        if result.get("focal_point") is not None:
            result["focal_point"] = merge_focal_point(image.focal_point, result["focal_point"])
        return _differing(image, result)


@dataclass(frozen=True)
class BulkPatch:
    """One change of many records: tags are removed and added, `metadata` and `visibility` are those of a `Patch`."""

    members: Mapping[str, Any]
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()

    @classmethod
    def parse(cls, members: Mapping[str, Any]) -> "BulkPatch":
        """Check and normalize the members of a change. Raises `Invalid`, also if there are none."""
        if unknown := members.keys() - set(BULK_FIELDS):
            raise unknown_fields(unknown, BULK_FIELDS)
        if not members:
            detail = f"No change is given. Send at least one of {', '.join(BULK_FIELDS)}."
            raise Invalid("missing_field", detail, fields=list(BULK_FIELDS))
        tags = {name: members[name] for name in ("add_tags", "remove_tags") if name in members}
        for name, value in tags.items():
            if value is None:  # null would mean "no tags", which is no change
                raise wrong_type(name, "a list of strings", value)
        return cls(
            {name: _PARSERS[name](value) for name, value in members.items() if name not in tags},
            **{name: parse_tags(value, name) for name, value in tags.items()},
        )

    def apply(self, image: Image) -> Changes:
        """Return the fields that differ from the record. A tag that is removed and added moves to the end.

        Raises `Invalid` if the result is over a limit.
        """
        result = dict(self.members)
        if "metadata" in result:
            result["metadata"] = _merged_metadata(image, result["metadata"])
        if self.add_tags or self.remove_tags:
            kept = [tag for tag in image.tags if tag not in self.remove_tags]
            result["tags"] = list(check_tags([*dict.fromkeys([*kept, *self.add_tags])]))
        return _differing(image, result)


def _merged_metadata(image: Image, entries: Mapping[str, str | None] | None) -> dict[str, str]:
    return {} if entries is None else merge_metadata(image.metadata, entries)


def _differing(image: Image, result: Mapping[str, Any]) -> Changes:
    return {name: value for name, value in result.items() if getattr(image, name) != value}
