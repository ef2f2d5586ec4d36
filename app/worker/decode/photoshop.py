"""Photoshop image resources and IPTC-IIM, which is one of them. A broken or truncated entry ends the parsing.

Pillow's `IptcImagePlugin.getiptcinfo` does not serve: it raises `SyntaxError` or `OSError` for one broken field or a
byte of padding and returns nothing of the fields before it, has no limit on their number, and reads JPEG and TIFF only.
"""

from typing import Final

#: Limits: more than any program writes; parsing takes milliseconds.
_MOST_BYTES: Final = 1 << 20
_MOST_VALUES: Final = 1_000

IPTC: Final = 0x0404  # among Photoshop's resources
BYLINE: Final = 80
COPYRIGHT: Final = 116
#: Datasets with free text: object name, keywords, instructions, headline, caption.
REMARKS: Final = (5, 25, 40, 105, 120)


def parse_resources(data: bytes) -> dict[int, bytes]:
    """Parse Photoshop resources; the keys are their numbers."""
    found: dict[int, bytes] = {}
    at = 0
    data = data[:_MOST_BYTES]
    while data[at : at + 4] == b"8BIM" and len(found) < _MOST_VALUES:
        name = 1 + int.from_bytes(data[at + 6 : at + 7])
        start = at + 6 + name + name % 2 + 4
        size = int.from_bytes(data[start - 4 : start])
        found.setdefault(int.from_bytes(data[at + 4 : at + 6]), data[start : start + size])
        at = start + size + size % 2
    return found


def parse_datasets(data: bytes) -> dict[int, list[bytes]]:
    """Parse the datasets of record 2 of IPTC-IIM, which describes the image; the keys are their numbers."""
    found: dict[int, list[bytes]] = {}
    at = 0
    data = data[:_MOST_BYTES]
    for _ in range(_MOST_VALUES):
        head = data[at : at + 5]
        size = int.from_bytes(head[3:])
        if len(head) < 5 or head[0] != 0x1C or size & 0x8000:  # extended datasets hold images
            break
        if head[1] == 2:
            found.setdefault(head[2], []).append(data[at + 5 : at + 5 + size])
        at += 5 + size
    return found
