"""Artist and copyright of an image: the only metadata that variants keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from PIL import ExifTags, Image

from app.worker.decode import photoshop
from app.worker.metadata import xmp
from app.worker.metadata.embedded import EmbeddedMetadata
from app.worker.metadata.text import MAX_NOTICE, as_text, decode_text, plain_text, to_line

_Base = ExifTags.Base
#: Names of an image with many authors, at most.
_MOST_NAMES: Final = 100


@dataclass(frozen=True)
class Notices:
    """Full notices. EXIF has two copyrights, of photographer and editor; each may be missing."""

    artist: str | None = None
    photographer: str | None = None
    editor: str | None = None

    @property
    def copyright(self) -> str | None:
        return "; ".join(part for part in (self.photographer, self.editor) if part) or None

    def block(self) -> bytes:
        """Build an EXIF block with Artist and Copyright only; no bytes if there is neither."""
        block = Image.Exif()
        if self.artist:
            block[_Base.Artist] = self.artist.encode()  # as bytes: Pillow replaces characters beyond ASCII
        if self.editor:
            block[_Base.Copyright] = f"{self.photographer or ' '}\0{self.editor}".encode()
        elif self.photographer:
            block[_Base.Copyright] = self.photographer.encode()
        return block.tobytes() if len(block) else b""


def read_rights(tags: Mapping[int, Any], embedded: EmbeddedMetadata) -> Notices:
    """Read the notices of EXIF, else those of the other blocks.

    A NUL separates EXIF's two copyrights; a blank stands for no photographer (EXIF 2.3, section 4.6.4).
    """
    parts = (as_text(tags.get(_Base.Copyright)) or "").split("\0", 2)
    photographer = to_line(parts[0], MAX_NOTICE)
    editor = to_line(parts[1], MAX_NOTICE) if len(parts) > 1 else None
    if not photographer and not editor:
        photographer = _find_notice(embedded, photoshop.COPYRIGHT, "dc:rights", "Copyright")
    artist = plain_text(tags.get(_Base.Artist), MAX_NOTICE)
    return Notices(artist or _find_notice(embedded, photoshop.BYLINE, "dc:creator", "Author"), photographer, editor)


def _find_notice(embedded: EmbeddedMetadata, dataset: int, name: str, keyword: str) -> str | None:
    for found in (
        [decode_text(value) for value in embedded.iptc.get(dataset, ())],
        xmp.read_items(embedded.xmp, name),
        [embedded.texts.get(keyword, "")],
    ):
        lines = [said for item in found[:_MOST_NAMES] if (said := to_line(item, MAX_NOTICE))]
        if lines:
            return "; ".join(lines)[:MAX_NOTICE].strip()
    return None
