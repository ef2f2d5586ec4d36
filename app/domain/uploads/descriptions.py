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
#: How much more may be written than is kept. Normalising takes time by the square of the marks on a letter, so it
#: comes after a bound; it makes one character of four at most.
AS_WRITTEN = 4
#: The names that both forms of an upload know, beside the picture's own.
NAMES = ("title", "alt", "tags")

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")


@dataclass(frozen=True)
class Description:
    """The texts that describe an image."""

    title: str | None = None
    alt: str | None = None
    tags: tuple[str, ...] = ()

    @classmethod
    def parse(cls, title: str | None, alt: str | None, tags: Iterable[str]) -> "Description":
        """Normalize: see `normal_text`. Tags are split at commas; each is kept once, in their order.

        Raises `Invalid` with the measured value beside the limit it broke.
        """
        return cls(
            title=_kept("title", title or "", TITLE_CHARACTERS) or None,
            alt=_kept("alt", alt or "", ALT_CHARACTERS) or None,
            tags=_tags(tags),
        )


def parse_media_type(declared: str | None) -> str | None:
    """The client's word for a media type, without parameters, or None if it is not one."""
    word = (declared or "")[:256].partition(";")[0].strip().lower()
    return word if _MEDIA_TYPE.fullmatch(word) else None


def _tags(texts: Iterable[str]) -> tuple[str, ...]:
    written = dict.fromkeys(tag for text in texts for tag in text.split(",") if tag and not tag.isspace())
    _few(len(written), AS_WRITTEN * TAGS)
    normal = dict.fromkeys(_kept("tags", tag, TAG_CHARACTERS) for tag in written)
    unique = tuple(tag for tag in normal if tag)
    _few(len(unique), TAGS)
    return unique


def _few(count: int, most: int) -> None:
    if count > most:
        raise _too_long("tags", f"There are {count} tags; {TAGS} can be kept.", count, TAGS)


def _kept(field: str, text: str, limit: int) -> str:
    if len(text) > AS_WRITTEN * limit:
        raise _too_many_characters(field, len(text), limit)
    text = _normal(field, text)
    if len(text) > limit:
        raise _too_many_characters(field, len(text), limit)
    return text


def _normal(field: str, text: str) -> str:
    text = normal_text(text)
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise Invalid(
            "control_character", f"`{field}` holds a control character or half a surrogate pair.", field=field
        )
    return text


def _too_many_characters(field: str, count: int, limit: int) -> Invalid:
    what = "A tag" if field == "tags" else f"`{field}`"
    return _too_long(field, f"{what} has {count} characters; {limit} can be kept.", count, limit)


def _too_long(field: str, detail: str, measured: int, limit: int) -> Invalid:
    return Invalid("too_long", detail, field=field, measured=measured, limit=limit)
