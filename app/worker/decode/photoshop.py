"""Photoshop's image resources, and IPTC-IIM, which is one of them. What is cut off or broken ends the reading."""

from typing import Final

#: More than any program writes, and a moment's work.
_MOST_BYTES: Final = 1 << 20
_MOST_VALUES: Final = 1_000

IPTC: Final = 0x0404  # among Photoshop's resources
BYLINE: Final = 80
COPYRIGHT: Final = 116
#: What people write: object name, keywords, instructions, headline, caption.
REMARKS: Final = (5, 25, 40, 105, 120)


def resources_of(data: bytes) -> dict[int, bytes]:
    """Photoshop's resources by their numbers."""
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


def datasets_of(data: bytes) -> dict[int, list[bytes]]:
    """The values of IPTC-IIM's record 2, the only one that describes a picture, by their numbers."""
    found: dict[int, list[bytes]] = {}
    at = 0
    data = data[:_MOST_BYTES]
    for _ in range(_MOST_VALUES):
        head = data[at : at + 5]
        size = int.from_bytes(head[3:])
        if len(head) < 5 or head[0] != 0x1C or size & 0x8000:  # the extended kind is for pictures within
            break
        if head[1] == 2:
            found.setdefault(head[2], []).append(data[at + 5 : at + 5 + size])
        at += 5 + size
    return found
