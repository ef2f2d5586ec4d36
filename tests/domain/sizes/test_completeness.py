"""Completeness of stored sizes: files that have lost their end are recognized."""

import io

import pytest
from PIL import Image as Pillow

from app.domain.models import Format
from app.domain.sizes.completeness import is_complete
from tests.samples import photo


def size(form: Format) -> bytes:
    out = io.BytesIO()
    photo(97, 61).save(out, form.value)
    return out.getvalue()


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
