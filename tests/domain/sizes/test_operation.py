"""Names of sizes and their inverse."""

import re

import pytest

from app.domain.keys import image_prefixes, size_id, size_key
from app.domain.models import Format
from app.domain.recipe import Fit
from app.domain.sizes.offer import MAX_SIDE
from app.domain.sizes.operation import Operation

ID = "01a21211-8a9b-7bc8-801b-cadcca2023b7"


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (Operation(640, None, Fit.INSIDE, Format.WEBP, 75), "w640-q75.webp"),
        (Operation(640, 360, Fit.COVER, Format.WEBP, 75), "w640-h360-cover-q75.webp"),
        (Operation(None, 360, Fit.INSIDE, Format.JPEG, 1), "h360-q1.jpg"),
        (Operation(1, MAX_SIDE, Fit.INSIDE, Format.AVIF, 99), "w1-h16383-q99.avif"),
        (Operation(32, None, Fit.INSIDE, Format.PNG, 100), "w32-q100.png"),
    ],
)
def test_a_name_identifies_its_operation(operation: Operation, name: str) -> None:
    assert operation.name == name
    assert Operation.parse(name) == operation
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*\.[a-z]+", name)


@pytest.mark.parametrize(
    "name",
    ["", "q75.webp", "w0-q75.webp", "w640.webp", "w640-q75.gif", "w640-q75.jpeg", "w640-cover-q75.webp", "w06-q75.webp",
     "-h6-q75.webp", "w640h6-q75.webp", "w640-q101.webp", "w640-q75.png", "w16384-q75.webp", "w640-q75.webp\n",
     "w٣-q75.webp", "../w640-q75.webp"],
)  # fmt: skip
def test_every_other_text_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"size|quality|sides|cover"):
        Operation.parse(name)


def test_keys_are_below_the_prefixes_of_the_image() -> None:
    public, private = (size_key(ID, "w640-q75.webp", public=each) for each in (True, False))
    assert (public, private) == (f"ondemand/{ID}/w640-q75.webp", f"processed/{ID}/ondemand/w640-q75.webp")
    assert all(key.startswith(image_prefixes(ID)) for key in (public, private))
    assert size_id(public) == ID
    assert size_id(private) is size_id(f"ondemand/{ID}/") is size_id("ondemand/x/y") is None
