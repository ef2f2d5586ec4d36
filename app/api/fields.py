"""The words that come with a picture, bounded and normalised."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.errors import Invalid

TITLE_CHARACTERS = 200
ALT_CHARACTERS = 1000
TAGS = 20
TAG_CHARACTERS = 64
#: The names that both forms of an upload know, beside the picture's own.
NAMES = ("title", "alt", "tags")

_BLANKS = re.compile(r"[\t\r\n\v\f\x1c-\x1f\x85\u2028\u2029]+")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")


@dataclass(frozen=True)
class Words:
    """What people wrote about a picture."""

    title: str | None = None
    alt: str | None = None
    tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, title: str | None, alt: str | None, tags: Iterable[str]) -> "Words":
        """Normalised: NFC, trimmed, line breaks to blanks; tags split at commas, each once, in their order.

        Raises `Invalid` with the measured value beside the limit it broke.
        """
        split = (_normal("tags", tag) for text in tags for tag in text.split(","))
        unique = tuple(dict.fromkeys(tag for tag in split if tag))
        if len(unique) > TAGS:
            raise _too_long("tags", f"There are {len(unique)} tags; {TAGS} can be kept.", len(unique), TAGS)
        for tag in unique:
            _bounded("tags", tag, TAG_CHARACTERS)
        return cls(
            title=_bounded("title", _normal("title", title or ""), TITLE_CHARACTERS) or None,
            alt=_bounded("alt", _normal("alt", alt or ""), ALT_CHARACTERS) or None,
            tags=unique,
        )


def media_type_word(declared: str | None) -> str | None:
    """The client's word for a media type, without parameters, or None if it is not one."""
    word = (declared or "")[:256].partition(";")[0].strip().lower()
    return word if _MEDIA_TYPE.fullmatch(word) else None


def _normal(field: str, text: str) -> str:
    text = _BLANKS.sub(" ", unicodedata.normalize("NFC", text)).strip()
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise Invalid(
            "control_character", f"`{field}` holds a control character or half a surrogate pair.", field=field
        )
    return text


def _bounded(field: str, text: str, limit: int) -> str:
    if len(text) > limit:
        what = "A tag" if field == "tags" else f"`{field}`"
        raise _too_long(field, f"{what} has {len(text)} characters; {limit} can be kept.", len(text), limit)
    return text


def _too_long(field: str, detail: str, measured: int, limit: int) -> Invalid:
    return Invalid("too_long", detail, field=field, measured=measured, limit=limit)
