"""What a picture told about people that none of its variants does."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from PIL import ExifTags

from app.domain.models import Privacy

_Tags = Mapping[int, Any]
_Base = ExifTags.Base

_PLACES: Final = (ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSAltitude)
_SERIALS: Final = (_Base.BodySerialNumber, _Base.LensSerialNumber, _Base.CameraSerialNumber)
_OWNERS: Final = (_Base.CameraOwnerName, _Base.XPAuthor)
_COMMENTS: Final = (_Base.ImageDescription, _Base.UserComment, _Base.XPTitle, _Base.XPComment, _Base.XPSubject,
    _Base.XPKeywords)  # fmt: skip
#: Where Pillow puts the comments of JPEG and GIF, and the keywords of PNG that people write under.
_TEXTS: Final = ("comment", "Comment", "Description", "Title", "Author")
_THUMBNAIL: Final = 0x0201  # JPEGInterchangeFormat of IFD 1
_IPTC: Final = 0x0404  # among Photoshop's resources
_IPTC_CAPTION: Final = b"\x1c\x02\x78"  # IPTC-IIM record 2, dataset 120


def privacy_of(info: Mapping[Any, Any], tags: _Tags, place: _Tags, thumbnail: _Tags) -> Privacy:
    """What is in a picture's `info` and in its EXIF: main and photo tags together, GPS and IFD 1."""
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    xmp = xmp.encode(errors="replace") if isinstance(xmp, str) else xmp

    def in_xmp(name: bytes) -> bool:
        return isinstance(xmp, bytes) and name in xmp

    return Privacy(
        gps=any(tag in place for tag in _PLACES) or in_xmp(b"GPSLatitude"),
        serial=any(tags.get(tag) for tag in _SERIALS) or in_xmp(b"SerialNumber"),
        owner_name=any(tags.get(tag) for tag in _OWNERS) or in_xmp(b"OwnerName"),
        comment=any(map(_says_something, _remarks(info, tags))) or in_xmp(b"dc:description") or in_xmp(b"UserComment"),
        thumbnail=_THUMBNAIL in thumbnail or bool(info.get("thumbnails")),
    )


def _remarks(info: Mapping[Any, Any], tags: _Tags) -> Iterator[object]:
    yield from (tags.get(tag) for tag in _COMMENTS)
    yield from (info.get(name) for name in _TEXTS)
    resources = info.get("photoshop")
    block = resources.get(_IPTC) if isinstance(resources, dict) else None
    yield isinstance(block, bytes) and _IPTC_CAPTION in block and "a caption"


def _says_something(remark: object) -> bool:
    """Whether there is text in it: cameras leave fields of blanks, after the name of their encoding."""
    if isinstance(remark, tuple):
        remark = bytes(value for value in remark if isinstance(value, int) and 0 <= value < 256)
    if isinstance(remark, str):
        remark = remark.encode(errors="replace")
    if not isinstance(remark, bytes):
        return False
    for encoding in (b"ASCII\0\0\0", b"UNICODE\0", b"JIS\0\0\0\0\0"):
        remark = remark.removeprefix(encoding)
    return bool(remark.strip(b"\0 \t\r\n"))
