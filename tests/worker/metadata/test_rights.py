"""Artist and copyright: in the record and the variants, from whichever block of the original."""

import struct
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.domain.models import Format
from app.domain.recipe import VariantSpec
from app.worker.metadata import xmp
from tests.samples import photo
from tests.worker.conftest import Process, recipe_of
from tests.worker.files import png_with, saved, with_segment
from tests.worker.jxl_files import read_exif
from tests.worker.leaks import find_leaks

ALL = recipe_of(VariantSpec(name="v", width=64, formats=tuple(Format)))
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description>
<dc:creator><rdf:Seq><rdf:li>Änn</rdf:li><rdf:li>Bob</rdf:li></rdf:Seq></dc:creator>
<dc:rights><rdf:Alt><rdf:li xml:lang="de">nein</rdf:li>
<rdf:li xml:lang="x-default">&#169; Änn &amp; Bob</rdf:li></rdf:Alt>
</dc:rights></rdf:Description></rdf:RDF></x:xmpmeta>"""


def datasets(*values: tuple[int, bytes]) -> bytes:
    return b"".join(b"\x1c\x02" + bytes((kind,)) + len(value).to_bytes(2) + value for kind, value in values)


def resource(code: int, block: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", code, 0, len(block)) + block + bytes(len(block) % 2)


def folded(kind: str, block: bytes) -> bytes:
    """As ImageMagick puts a block into a text of PNG."""
    hexed = block.hex()
    lines = "\n".join(hexed[at : at + 72] for at in range(0, len(hexed), 72))
    return f"Raw profile type {kind}\0\n{kind}\n{len(block):8}\n{lines}\n".encode()


def still(file_format: str, **options: Any) -> bytes:
    return saved(photo(96, 64), file_format, **options)


IPTC = datasets((80, "Änn".encode()), (80, b"Bob"), (116, "© Änn & Bob".encode("latin-1")))
LONGS = IPTC + bytes(-len(IPTC) % 4)


def tiff_of_numbers() -> bytes:
    """IPTC as it is mostly in TIFF: said to be of 32-bit numbers."""
    body = still("TIFF", tiffinfo={33723: LONGS})
    entries = [(struct.pack("<HHI", 33723, kind, len(LONGS))) for kind in (1, 7)]
    assert sum(body.count(entry) for entry in entries) == 1
    for entry in entries:
        body = body.replace(entry, struct.pack("<HHI", 33723, 4, len(LONGS) // 4))
    return body


@pytest.mark.filterwarnings("ignore:Metadata Warning")
@pytest.mark.parametrize(
    "body",
    [
        lambda: with_segment(still("JPEG"), 0xED, b"Photoshop 3.0\0" + resource(0x0404, IPTC)),
        tiff_of_numbers,
        lambda: still("TIFF", tiffinfo={34377: resource(0x0404, IPTC)}),
        lambda: png_with(still("PNG"), b"tEXt", folded("iptc", resource(0x0404, IPTC))),
        lambda: still("JPEG", xmp=XMP.encode()),
        lambda: still("JPEG", xmp=XMP.encode("utf-16-le")),
        lambda: still("WEBP", xmp=XMP.encode("utf-32-be")),
        lambda: png_with(still("PNG"), b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.encode()),
    ],
    ids=["iptc-jpeg", "iptc-tiff", "iptc-tiff-photoshop", "iptc-png", "xmp", "xmp-utf-16", "xmp-utf-32", "xmp-png"],
)
def test_rights_are_found_wherever_they_are(process: Process, body: Any) -> None:
    processed, out = process(body(), ALL)
    assert processed.rights.model_dump() == {"artist": "Änn; Bob", "copyright": "© Änn & Bob"}
    kept_in_all(out, "Änn; Bob", "© Änn & Bob")
    assert not any(processed.privacy_report.model_dump().values())


def kept_in_all(out: Path, artist: str, copyright_: str) -> None:
    files = [path for path in out.iterdir() if path.is_file()]
    assert len(files) == len(Format)
    for path in files:
        assert find_leaks(path) == []
        kept = {tag: str(value).encode("latin-1").decode() for tag, value in read_exif(path).items()}
        assert kept == {0x013B: artist, 0x8298: copyright_}, path.name


def test_texts_of_a_png_are_rights_too(process: Process) -> None:
    body = png_with(still("PNG"), b"tEXt", "Author\0Änn\x1b".encode("latin-1"))
    body = png_with(body, b"iTXt", "Copyright\0\0\0\0\0© Änn".encode())
    processed, out = process(body, ALL)
    assert processed.rights.model_dump() == {"artist": "Änn", "copyright": "© Änn"}
    kept_in_all(out, "Änn", "© Änn")


def test_exif_comes_first(process: Process) -> None:
    made = Image.Exif()
    made.update({0x013B: "Exif Author", 0x8298: "Exif rights"})
    body = with_segment(still("JPEG", exif=made, xmp=XMP.encode()), 0xED, b"Photoshop 3.0\0" + resource(0x0404, IPTC))
    processed, out = process(body, ALL)
    assert processed.rights.model_dump() == {"artist": "Exif Author", "copyright": "Exif rights"}
    kept_in_all(out, "Exif Author", "Exif rights")


@pytest.mark.parametrize(
    "block",
    [
        datasets((116, b"x" * 9_000)),
        datasets((80, b"\0\x1b"), (80, b"")) + b"\x1c\x02\x74\xff\xff",
        b"\x1c" * 5_000,
        datasets(*[(80, b"many")] * 3_000),
    ],
)
def test_odd_iptc_fails_no_image(process: Process, block: bytes) -> None:
    processed, out = process(with_segment(still("JPEG"), 0xED, b"Photoshop 3.0\0" + resource(0x0404, block)), ALL)
    assert all(len(str(value)) <= 200 for value in processed.rights.model_dump().values())
    assert all(path.stat().st_size < 40_000 for path in out.iterdir())


@pytest.mark.parametrize(
    "junk",
    [
        "<dc:creator>" * 80_000,
        "dc:creator='" * 80_000,
        "dc:creator " * 80_000,
        "<dc:creator><rdf:li" + "<" * 900_000,
        "dc:creator" + " " * 900_000,
        "dc:creator=" + '"' * 900_000,
        "<" * 1_000_000,
    ],
)
def test_no_xmp_takes_long_to_read(junk: str) -> None:
    started = time.process_time()
    text = xmp.decode_packet(junk.encode())
    assert xmp.has_text(text, "dc:creator") in {True, False}
    assert sum(map(len, xmp.read_items(text, "dc:creator"))) < 30_000
    assert time.process_time() - started < 2
