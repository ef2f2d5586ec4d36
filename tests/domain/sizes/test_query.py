"""Both grammars of queries for sizes."""

import pytest

from app.domain.errors import Invalid
from app.domain.models import Format
from app.domain.recipe import Fit
from app.domain.sizes.query import SizeQuery, parse_query

JPEG, WEBP, AVIF, PNG = Format.JPEG, Format.WEBP, Format.AVIF, Format.PNG


def parse(query: str, extension: str = "") -> SizeQuery:
    return parse_query([tuple(part.split("=", 1)) for part in query.split("&") if part], extension)  # type: ignore[misc] # pairs


@pytest.mark.parametrize(
    ("query", "extension", "expected"),
    [
        ("", "", SizeQuery()),
        ("w=640&q=75", "", SizeQuery(640, quality=75)),
        ("width=640&quality=75", "", SizeQuery(640, quality=75)),
        ("w=320&dpr=2", "", SizeQuery(640)),
        ("w=333&dpr=1.5", "", SizeQuery(500)),
        ("w=10000&dpr=10", "", SizeQuery(16383)),
        ("w=640.4", "", SizeQuery(640)),
        ("w=640&h=360", "", SizeQuery(640, 360, Fit.COVER)),
        ("width=640&height=360&fit=cover&withoutEnlargement=true", "", SizeQuery(640, 360, Fit.COVER)),
        ("w=640&h=360&fit=min&auto=format", "", SizeQuery(640, 360, Fit.COVER)),
        ("w=640&h=360&fit=crop", "", SizeQuery(640, 360, Fit.COVER)),
        ("w=640&h=360&fit=outside", "", SizeQuery(640, 360, Fit.COVER)),
        *((f"w=6&h=3&fit={word}", "", SizeQuery(6, 3)) for word in ("contain", "inside", "fill", "max", "clip")),
        ("w=640&fit=cover", "", SizeQuery(640)),
        ("h=360", "", SizeQuery(None, 360)),
        ("fm=jpg", "", SizeQuery(format=JPEG)),
        ("f=WEBP", "", SizeQuery(format=WEBP)),
        ("format=avif", "png", SizeQuery(format=AVIF)),
        ("", "JPEG", SizeQuery(format=JPEG)),
        ("", "png", SizeQuery(format=PNG)),
        ("", "tar", SizeQuery()),
        ("fm=auto", "jpg", SizeQuery()),
        ("auto=compress,format", "jpg", SizeQuery()),
        ("auto=compress", "jpg", SizeQuery(format=JPEG)),
        ("auto=format&fm=png", "jpg", SizeQuery(format=PNG)),
        ("w=640&width=640&w=640", "", SizeQuery(640)),
        ("w=&utm_source=mail&key=x", "", SizeQuery()),
    ],
)  # fmt: skip
def test_both_grammars(query: str, extension: str, expected: SizeQuery) -> None:
    assert parse(query, extension) == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *((f"{name}={value}", name) for name in ("w", "width", "h") for value in ("0", "-1", "1e9", "NaN", "16384")),
        ("w=1000000000", "w"), ("w=٣", "w"), ("w= 640", "w"), ("w=640px", "w"), ("w=0x10", "w"),
        ("q=0", "q"), ("quality=101", "quality"), ("q=high", "q"),
        ("dpr=0", "dpr"), ("dpr=11", "dpr"), ("dpr=inf", "dpr"),
        ("fm=gif", "fm"), ("fit=squeeze", "fit"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_by_name(query: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(query)
    found = query.partition("=")[2]
    assert caught.value.code == "bad_size"
    assert (caught.value.extra["field"], caught.value.extra["found"]) == (field, found)
    assert f"`{field}`" in caught.value.detail
    assert {"minimum", "maximum"} <= caught.value.extra.keys() or caught.value.extra["accepted"]


@pytest.mark.parametrize(
    "query", ["w=640&width=320", "q=75&quality=80", "fm=webp&f=jpg", "w=640&w=641", "fm=auto&f=png"]
)
def test_names_that_disagree_are_refused(query: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(query)
    assert caught.value.code == "size_conflict"
    assert all(f"`{pair.partition('=')[0]}`" in caught.value.detail for pair in query.split("&"))


def test_the_normalized_text_is_the_same_for_both_grammars() -> None:
    long = parse("width=320&height=180&dpr=2&fit=cover&format=jpeg&quality=75")
    assert long.text == parse("w=640&h=360&fm=jpg", "webp").text == "w640-h360-cover-q75.jpeg"
    assert parse("w=640&h=360&fit=max").text == "w640-h360-q75.auto"
    assert parse("q=80").text == "q80.auto"
    assert parse("w=1&fm=png").exact(PNG).name == "w1-q100.png"
    assert parse("fm=webp").exact(WEBP).name == "w16383-q75.webp"
