"""Who made a picture and whose it is: the one thing that its variants keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from PIL import ExifTags, Image

from app.worker.decode import photoshop
from app.worker.metadata import xmp
from app.worker.metadata.embedded import EmbeddedMetadata
from app.worker.metadata.text import MAX_NOTICE, as_text, decoded, line, plain

_Base = ExifTags.Base
#: Of a picture with many authors.
_MOST_NAMES: Final = 100


@dataclass(frozen=True)
class Notices:
    """The notices in full. The copyrights of photographer and editor are two, and either may be missing."""

    artist: str | None = None
    photographer: str | None = None
    editor: str | None = None

    @property
    def copyright(self) -> str | None:
        return "; ".join(part for part in (self.photographer, self.editor) if part) or None

    def block(self) -> bytes:
        """An EXIF block of nothing but Artist and Copyright, or no bytes when there is neither."""
        block = Image.Exif()
        if self.artist:
            block[_Base.Artist] = self.artist.encode()  # as bytes: Pillow would replace what is not ASCII
        if self.editor:
            block[_Base.Copyright] = f"{self.photographer or ' '}\0{self.editor}".encode()
        elif self.photographer:
            block[_Base.Copyright] = self.photographer.encode()
        return block.tobytes() if len(block) else b""


def rights_of(tags: Mapping[int, Any], embedded: EmbeddedMetadata) -> Notices:
    """What EXIF says, or else the other blocks.

    A NUL parts EXIF's two copyrights; a blank stands for no photographer (EXIF 2.3, section 4.6.4).
    """
    parts = (as_text(tags.get(_Base.Copyright)) or "").split("\0", 2)
    photographer = line(parts[0], MAX_NOTICE)
    editor = line(parts[1], MAX_NOTICE) if len(parts) > 1 else None
    if not photographer and not editor:
        photographer = _said(embedded, photoshop.COPYRIGHT, "dc:rights", "Copyright")
    artist = plain(tags.get(_Base.Artist), MAX_NOTICE)
    return Notices(artist or _said(embedded, photoshop.BYLINE, "dc:creator", "Author"), photographer, editor)


def _said(embedded: EmbeddedMetadata, dataset: int, name: str, keyword: str) -> str | None:
    for found in (
        [decoded(value) for value in embedded.iptc.get(dataset, ())],
        xmp.items(embedded.xmp, name),
        [embedded.texts.get(keyword, "")],
    ):
        lines = [said for item in found[:_MOST_NAMES] if (said := line(item, MAX_NOTICE))]
        if lines:
            return "; ".join(lines)[:MAX_NOTICE].strip()
    return None
