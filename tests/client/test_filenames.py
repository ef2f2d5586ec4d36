"""Names of downloaded files, which no answer of a server can move out of their folder."""

from dataclasses import replace
from pathlib import Path

import pytest

from darkroom.cli.images.filenames import distinct_name, safe_name
from darkroom.records import Image, Variant

IMAGE = Image(id="01a21211-8a9b-7bc8-801b-cadcca2023b7", status="ready", filename="sea.jpg", content_type="image/jpeg")
VARIANT = Variant(name="w320", format="webp", url="/w320.webp", bytes=1, width=320, height=240)


def test_names_are_those_of_the_uploaded_files() -> None:
    assert safe_name(IMAGE) == "sea.jpg"
    assert safe_name(IMAGE, VARIANT) == "sea-w320.webp"
    assert safe_name(replace(IMAGE, filename=None)) == f"{IMAGE.id}.jpg"
    assert distinct_name("sea.jpg", IMAGE) == "sea-cadcca2023b7.jpg"


@pytest.mark.parametrize("text", ["../../.bashrc", "/etc/passwd", "..", "C:\\x\\y", "a\0b/c", "con", " .. /x", ""])
def test_no_answer_names_a_file_elsewhere(text: str) -> None:
    images = (replace(IMAGE, filename=text), replace(IMAGE, id=text, filename=None, content_type=None))
    variants = (None, replace(VARIANT, name=text), replace(VARIANT, format=text))
    for image in images:
        for variant in variants:
            name = safe_name(image, variant)
            for each in (name, distinct_name(name, image)):
                assert each == Path(each).name
                assert each.isprintable()
                assert not {":", "\\"} & set(each)
                assert each.strip(" .") == each
                assert each.partition(".")[0] not in {"", "con"}
