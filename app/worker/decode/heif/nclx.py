"""Color codes of HEIC and AVIF (`colr` of type `nclx`, ISO/IEC 14496-12, section 12.1.5)."""

from dataclasses import dataclass
from typing import Final

from app.worker.decode.heif.coding import FULL, Coding
from app.worker.decode.heif.items import Property

UNSPECIFIED: Final = 2
_IDENTITY: Final = 0
#: Matrix coefficients that both decoders convert (ITU-T H.273, table 4), and those that neither does.
_CONVERTED: Final = frozenset({1, 2, 4, 5, 6, 7, 8, 9, 12})
_NAMED: Final = {10: "BT.2020 constant luminance", 11: "YDzDx", 13: "constant luminance", 14: "ICtCp", 15: "IPT-C2",
    16: "YCgCo-Re", 17: "YCgCo-Ro"}  # fmt: skip


@dataclass(frozen=True)
class Nclx:
    """Primaries, transfer and matrix by their numbers in ITU-T H.273."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool

    def unreadable(self) -> str | None:
        """Return the name of a color model that neither decoder converts, else None."""
        return _NAMED.get(self.matrix)

    def readable_matrix(self, coding: Coding | None) -> int:
        """Return the matrix if both decoders convert it; else that for unspecified, which is read as BT.601."""
        if self.matrix == _IDENTITY and coding and coding.chroma == FULL:
            return _IDENTITY
        return self.matrix if self.matrix in _CONVERTED else UNSPECIFIED


def read_nclx(one: Property) -> Nclx | None:
    """Read the numbers of a property; None if it is of another kind or truncated."""
    body = one.body
    if one.kind != b"colr" or body[:4] != b"nclx" or len(body) < 11:
        return None
    return Nclx(int.from_bytes(body[4:6]), int.from_bytes(body[6:8]), int.from_bytes(body[8:10]), body[10] >= 0x80)
