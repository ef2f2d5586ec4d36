"""Content types of request bodies, and the character sets that clients may declare, as Python codecs.

Codecs come from fixed tables instead of `codecs.lookup`: Python caches every name that is looked up, and clients choose
these names.
"""

from collections.abc import Mapping

from app.api.http.problem_catalog import refusal

#: Types that say nothing about the format. A body without any type is read as bytes too: `fetch` sends none with a
#: buffer, nor with a file whose type the browser does not know.
_BYTES = frozenset({"application/octet-stream", "binary/octet-stream"})
#: Charsets of text fields. Like browsers, Latin-1 is decoded as Windows-1252, which extends it, and US-ASCII as UTF-8.
TEXT_CODECS: Mapping[str, str] = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "cp1252",
    "iso_8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
#: More charsets for file names, which old mail libraries encode in the charset of their system.
NAME_CODECS: Mapping[str, str] = {
    **TEXT_CODECS,
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (*range(2, 12), *range(13, 17))},
    **{f"windows-{page}": f"cp{page}" for page in (874, *range(1250, 1252), *range(1253, 1259))},
    **{name: name for name in ("big5", "euc-jp", "euc-kr", "gb2312", "gbk", "gb18030", "iso-2022-jp", "koi8-r",
                               "shift_jis")},
}  # fmt: skip
#: Charsets that an error lists.
ACCEPTED = ["utf-8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16"]


def get_codec(charset: str, field: str) -> str:
    """Return the codec for a text field's charset. Raises `UnsupportedType` for one that is not accepted."""
    codec = TEXT_CODECS.get(charset.strip().lower())
    if codec is None:
        raise refusal("unsupported_charset", field=field, found=charset[:40], accepted=ACCEPTED)
    return codec


def decode(raw: bytes, codec: str) -> str:
    """Decode bytes; raises `UnicodeDecodeError`. Bytes that Windows-1252 leaves undefined are decoded as Latin-1."""
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        if codec != "cp1252":
            raise
        return raw.decode("latin-1")


def is_raw(content_type: str) -> bool:
    """Return True if the body is the image itself, by its `Content-Type`; also if that is empty."""
    form = content_type.partition(";")[0].strip().lower()
    return not content_type.strip() or form in _BYTES or form.startswith("image/")
