"""Title, alternative text and tags of an image, bounded and normalized."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.errors import Invalid
from app.domain.text import normal_text

TITLE_CHARACTERS = 200
ALT_CHARACTERS = 1000
TAGS = 20
TAG_CHARACTERS = 64
#: Raw text may be this many times longer than normalized text. The time of normalization grows with the square of the
#: marks on a letter, so the length is checked before it; it combines at most four characters into one.
RAW_FACTOR = 4
#: Fields of a form or a JSON document that describe the image.
NAMES = ("title", "alt", "tags")

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")


@dataclass(frozen=True)
class Description:
    """Title, alternative text and tags of an image."""

    title: str | None = None
    alt: str | None = None
    tags: tuple[str, ...] = ()

    @classmethod
    def parse(cls, title: str | None, alt: str | None, tags: Iterable[str]) -> "Description":
        """Normalize the texts (see `normal_text`). Tags are split at commas; duplicates are dropped, the order stays.

        Raises `Invalid` with the field, the measured length and the limit.
        """
        return cls(
            title=_normalize("title", title or "", TITLE_CHARACTERS) or None,
            alt=_normalize("alt", alt or "", ALT_CHARACTERS) or None,
            tags=_tags(tags),
        )


def parse_media_type(declared: str | None) -> str | None:
    """Return a declared media type in lower case without parameters, or None if it is malformed."""
    word = (declared or "")[:256].partition(";")[0].strip().lower()
    return word if _MEDIA_TYPE.fullmatch(word) else None


def _tags(texts: Iterable[str]) -> tuple[str, ...]:
    written = dict.fromkeys(tag for text in texts for tag in text.split(",") if tag and not tag.isspace())
    _check_count(len(written), RAW_FACTOR * TAGS)
    normal = dict.fromkeys(_normalize("tags", tag, TAG_CHARACTERS) for tag in written)
    unique = tuple(tag for tag in normal if tag)
    _check_count(len(unique), TAGS)
    return unique


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise _too_long("tags", f"`tags` has {count} tags. The limit is {TAGS}.", count, TAGS)


def _normalize(field: str, text: str, limit: int) -> str:
    if len(text) > RAW_FACTOR * limit:
        raise _too_many_characters(field, len(text), limit)
    text = _normalize_text(field, text)
    if len(text) > limit:
        raise _too_many_characters(field, len(text), limit)
    return text


def _normalize_text(field: str, text: str) -> str:
    text = normal_text(text)
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise Invalid(
            "control_character",
            f"`{field}` contains a control character or an unpaired surrogate. Remove it.",
            field=field,
        )
    return text


def _too_many_characters(field: str, count: int, limit: int) -> Invalid:
    what = "A tag" if field == "tags" else f"`{field}`"
    return _too_long(field, f"{what} has {count} characters. The limit is {limit}.", count, limit)


def _too_long(field: str, detail: str, measured: int, limit: int) -> Invalid:
    return Invalid("too_long", detail, field=field, measured=measured, limit=limit)
