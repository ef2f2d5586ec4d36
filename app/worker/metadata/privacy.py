"""Report on private data in an original. None of it is in the variants."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from PIL import ExifTags

from app.domain.models import PrivacyReport
from app.worker.decode import photoshop
from app.worker.metadata import xmp
from app.worker.metadata.embedded import EmbeddedMetadata

_Tags = Mapping[int, Any]
_Base = ExifTags.Base

_PLACES: Final = (ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSAltitude)
_SERIALS: Final = (_Base.BodySerialNumber, _Base.LensSerialNumber, _Base.CameraSerialNumber)
_OWNERS: Final = (_Base.CameraOwnerName, _Base.XPAuthor)
_COMMENTS: Final = (_Base.ImageDescription, _Base.UserComment, _Base.XPTitle, _Base.XPComment, _Base.XPSubject,
    _Base.XPKeywords)  # fmt: skip
_THUMBNAIL: Final = 0x0201  # JPEGInterchangeFormat of IFD 1
#: Properties of XMP. A name without a namespace stands for all that end with it.
_XMP_PLACES: Final = ("GPSLatitude", "GPSLongitude", "GPSAltitude")
_XMP_SERIALS: Final = ("SerialNumber",)
_XMP_OWNERS: Final = ("OwnerName", "xmpRights:Owner")
_XMP_COMMENTS: Final = ("dc:description", "dc:title", "dc:subject", "photoshop:Headline", "UserComment")
_XMP_THUMBNAILS: Final = ("xmp:Thumbnails", "xmpGImg:image", "xap:Thumbnails", "xapGImg:image")
#: Keywords of PNG, in lower case, that programs write, or that are reported elsewhere (rights, dates).
_TECHNICAL: Final = frozenset({
    "software", "source", "creation time", "create-time", "modify-time", "date:create", "date:modify",
    "date:timestamp", "signature", "dpi", "gamma", "xml:com.adobe.xmp", "author", "copyright",
})  # fmt: skip
_TECHNICAL_KINDS: Final = ("raw profile type ", "png:", "jpeg:", "icc:", "tiff:", "exif:", "xmp:")
#: Keywords for EXIF that ImageMagick writes into a PNG.
_TEXT_PLACES: Final = ("exif:gpslatitude", "exif:gpslongitude", "exif:gpsaltitude")
_TEXT_COMMENTS: Final = ("exif:usercomment", "exif:imagedescription")


def read_privacy(
    info: Mapping[Any, Any], tags: _Tags, place: _Tags, thumbnail: _Tags, embedded: EmbeddedMetadata
) -> PrivacyReport:
    """Report what is in `info`, in EXIF (main and photo tags merged, GPS, IFD 1) and in the other blocks."""

    def in_xmp(names: tuple[str, ...]) -> bool:
        return any(xmp.has_text(embedded.xmp, name) for name in names)

    texts = {name.casefold(): text for name, text in embedded.texts.items()}
    return PrivacyReport(
        gps=any(tag in place for tag in _PLACES) or any(map(texts.get, _TEXT_PLACES)) or in_xmp(_XMP_PLACES),
        serial=any(tags.get(tag) for tag in _SERIALS) or in_xmp(_XMP_SERIALS),
        owner_name=any(tags.get(tag) for tag in _OWNERS) or in_xmp(_XMP_OWNERS),
        comment=any(map(_has_text, _remarks(info, tags, embedded, texts))) or in_xmp(_XMP_COMMENTS),
        thumbnail=_THUMBNAIL in thumbnail or embedded.thumbnail or in_xmp(_XMP_THUMBNAILS),
    )


def _remarks(
    info: Mapping[Any, Any], tags: _Tags, embedded: EmbeddedMetadata, texts: Mapping[str, str]
) -> Iterator[object]:
    yield from (tags.get(tag) for tag in _COMMENTS)
    yield info.get("comment")  # of JPEG and GIF, by Pillow
    for name, text in texts.items():
        if name in _TEXT_COMMENTS or not (name in _TECHNICAL or name.startswith(_TECHNICAL_KINDS)):
            yield text
    for dataset in photoshop.REMARKS:
        yield from embedded.iptc.get(dataset, ())


def _has_text(remark: object) -> bool:
    """Return True if a remark has text. Cameras write blanks after the name of an encoding."""
    if isinstance(remark, tuple):
        remark = bytes(value for value in remark if isinstance(value, int) and 0 <= value < 256)
    if isinstance(remark, str):
        remark = remark.encode(errors="replace")
    if not isinstance(remark, bytes):
        return False
    for encoding in (b"ASCII\0\0\0", b"UNICODE\0", b"JIS\0\0\0\0\0"):
        remark = remark.removeprefix(encoding)
    return bool(remark.strip(b"\0 \t\r\n"))
