"""Completeness of stored sizes: files that have lost their end are recognized."""

import io

import pytest
from PIL import Image as Pillow

from app.domain.models import Format
from app.domain.sizes.completeness import is_complete
from tests.samples import encoded

BLOCK = 4096


def size(form: Format, width: int = 97, height: int = 61, **options: int) -> bytes:
    return encoded(form.value.upper(), width, height, **options)


@pytest.mark.parametrize("form", list(Format))
def test_a_file_is_complete_with_its_last_byte(form: Format) -> None:
    data = size(form)
    assert is_complete(io.BytesIO(data))
    kept = [0, 1, 7, 8, 12, 64, len(data) // 2, 4096 % len(data), len(data) - 2, len(data) - 1]
    assert not [length for length in kept if is_complete(io.BytesIO(data[:length]))]
    assert not is_complete(io.BytesIO(data + b"x"))


def test_an_animation_is_complete_with_its_last_byte() -> None:
    out = io.BytesIO()
    frames = [Pillow.new("RGB", (30, 20), color) for color in ("red", "green")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    assert is_complete(io.BytesIO(out.getvalue()))
    assert not is_complete(io.BytesIO(out.getvalue()[:-1]))


def test_other_files_are_not() -> None:
    assert not is_complete(io.BytesIO(b"GIF89a" + bytes(100)))


@pytest.mark.parametrize("form", list(Format))
def test_a_file_whose_last_blocks_were_not_written_is_not(form: Format) -> None:
    data = size(form, 600, 400, quality=100)
    assert is_complete(io.BytesIO(data))
    # Zeros right before a block look like those of the image.
    blocks = [begin for begin in range(BLOCK, len(data) - 64, BLOCK) if data[begin - 1]]
    assert len(blocks) >= 3
    assert not [begin for begin in blocks if is_complete(io.BytesIO(data[:begin] + bytes(len(data) - begin)))]
    assert not is_complete(io.BytesIO(bytes(len(data))))


def test_an_image_of_one_color_is_complete_with_its_zeros() -> None:
    out = io.BytesIO()
    Pillow.new("RGB", (3840, 2160)).save(out, Format.WEBP.value, quality=75)
    data = out.getvalue()
    assert data.endswith(bytes(500))
    assert is_complete(io.BytesIO(data))
