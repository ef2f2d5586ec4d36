"""Markup that shows an image, with any text."""

from collections.abc import Sequence
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from app.api.views.embed import EmbedCodes, PlacedVariant, embed_codes, offer_sizes, offer_variants
from app.domain.models import Format, Image, Variant
from tests.contract.records import an_image

HOSTILE = (
    '"><script>alert(1)</script>',
    "](javascript:alert(1)) ![x",
    "a](b) [c][d] ![e](f)",
    "*a* _b_ `c` ~~d~~ $e$ | f",
    "\\] \\",
    "&quot;&#93; <https://example.org> <b>",
    "one\n\n# two\r\n> three",
    "[x]: http://example.org",
    "' onerror='alert(1)",
)
#: CommonMark with what GitHub adds to it.
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
FRAME_TAGS = frozenset({"p", "table", "thead", "tbody", "tr", "th", "td"})
URL = "/files/processed/a/b/"


def placed(name: str, form: Format, width: int, base: str = URL) -> PlacedVariant:
    file = f"{name}.{form.extension}"
    return Variant(name=name, format=form, width=width, height=width, bytes=1, file=file), base + file


VARIANTS = (
    placed("w320", Format.WEBP, 320),
    placed("w1280", Format.WEBP, 1280),
    placed("w1920", Format.WEBP, 1280),  # the same object
    placed("w1280", Format.JPEG, 1280),
)


class Tags(HTMLParser):
    """The tags of a text, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags_of(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(html)
    return parser.found


def hostile(alt: str) -> Image:
    return an_image(alt=alt, filename=alt)


def embed_variants(image: Image, variants: Sequence[PlacedVariant]) -> EmbedCodes:
    return embed_codes(image, offer_variants(variants))


def embed_sizes(image: Image, widths: tuple[int, ...], *, jxl: bool = False) -> EmbedCodes:
    assert image.width
    assert image.height
    return embed_codes(image, offer_sizes(widths, image.width, image.height, jxl=jxl), "/i/x")


@pytest.mark.parametrize("alt", HOSTILE)
def test_html_shows_any_alt_text_as_it_is(alt: str) -> None:
    html = embed_variants(hostile(alt), VARIANTS)["html"]
    assert html
    found = tags_of(html)
    assert [tag for tag, _ in found] == ["picture", "source", "img"]
    image = found[-1][1]
    assert (image["alt"], image["src"]) == (alt, f"{URL}w1280.jpg")
    assert image.keys() == {"src", "width", "height", "alt", "loading"}


@pytest.mark.parametrize("alt", HOSTILE)
@pytest.mark.parametrize("frame", ["{}", "| a |\n|---|\n| {} |"])
def test_markdown_shows_any_alt_text_in_one_line(alt: str, frame: str) -> None:
    markdown = embed_variants(hostile(alt), VARIANTS)["markdown"]
    assert markdown
    rendered = (
        MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(frame.format(markdown))
    )
    (image,) = [
        attributes
        for tag, attributes in tags_of(rendered)
        if tag not in {"p", *["table", "thead", "tbody", "tr", "th", "td"]}
    ]
    assert (image["alt"], image["src"]) == (" ".join(alt.split()), f"{URL}w1280.jpg")


def test_markdown_escapes_the_url() -> None:
    image = placed("w1280", Format.JPEG, 1280, "https://a.example/x (1)/[2]|\\<3>/?a=1&lt=2#")
    markdown = embed_variants(hostile("A"), [image])["markdown"]
    assert markdown == "![A](https://a.example/x%20%281%29/[2]%7C%5C%3C3%3E/?a=1&lt=2#w1280.jpg)"


def test_srcset_lists_the_format_with_the_most_sizes() -> None:
    codes = embed_variants(hostile("A"), VARIANTS)
    assert codes["srcset"] == f"{URL}w320.webp 320w, {URL}w1920.webp 1280w"
    both = (*VARIANTS, placed("w320", Format.JPEG, 320))
    assert embed_variants(hostile("A"), both)["srcset"] == f"{URL}w320.jpg 320w, {URL}w1280.jpg 1280w"
    avif = placed("w320", Format.AVIF, 320)
    assert embed_variants(hostile("A"), [avif])["srcset"] == f"{URL}w320.avif 320w"


def test_without_an_uncropped_variant_there_is_no_markup() -> None:
    assert set(embed_variants(hostile("A"), []).values()) == {None}


def test_the_title_stands_in_for_the_alt_text_and_the_file_name_does_not() -> None:
    image = an_image(title="T", filename="<x>.jpg")
    assert embed_variants(image, VARIANTS)["markdown"] == f"![T]({URL}w1280.jpg)"
    assert 'alt=""' in (embed_variants(an_image(filename="<x>.jpg"), VARIANTS)["html"] or "")


WIDTHS = (16, 256, 640, 1200, 1920, 3840)


@pytest.mark.parametrize(
    ("size", "steps", "shown"),
    [
        ((4000, 3000), {256: 256, 640: 640, 1200: 1200, 1920: 1920, 3840: 3840}, (1200, 900)),
        ((1000, 10), {256: 256, 640: 640, 1000: 1200}, (1000, 10)),
        ((640, 480), {256: 256, 640: 640}, (640, 480)),
        ((10, 1000), {10: 256}, (10, 1000)),
    ],
)
def test_sizes_on_demand_are_no_larger_than_the_image(
    size: tuple[int, int], steps: dict[int, int], shown: tuple[int, int]
) -> None:
    image = an_image(width=size[0], height=size[1], title="A & B")
    codes = embed_sizes(image, WIDTHS)
    srcset = ", ".join(f"/i/x?w={step}&fm=webp {width}w" for width, step in steps.items())
    assert codes["srcset"] == (srcset if len(steps) > 1 else srcset.replace("webp", "jpeg"))
    (picture, source, img) = tags_of(codes["html"] or "")
    assert (picture[0], source[1]["type"], source[1]["srcset"]) == ("picture", "image/webp", srcset)
    step = steps[shown[0]]
    assert (img[1]["src"], img[1]["width"], img[1]["height"]) == (f"/i/x?w={step}&fm=jpeg", *map(str, shown))
    assert codes["markdown"] == f"![A \\& B](/i/x?w={step}&fm=jpeg)"


def test_jpeg_xl_comes_first() -> None:
    image = an_image(width=1000, height=500)
    (_, first, second, img) = tags_of(embed_sizes(image, WIDTHS, jxl=True)["html"] or "")
    assert [source[1]["type"] for source in (first, second)] == ["image/jxl", "image/webp"]
    assert first[1]["srcset"] == second[1]["srcset"].replace("fm=webp", "fm=jxl")
    assert img[1]["src"].endswith("fm=jpeg")
    variants = [placed("w320", form, 320) for form in (Format.WEBP, Format.JPEG, Format.JXL, Format.AVIF)]
    tags = tags_of(embed_variants(image, variants)["html"] or "")
    assert [tag[1].get("type") for tag in tags] == [None, "image/jxl", "image/avif", "image/webp", None]


def test_an_installation_with_small_widths_only() -> None:
    image = an_image(width=4000, height=3000)
    assert embed_sizes(image, (16, 32))["srcset"] == ("/i/x?w=16&fm=webp 16w, /i/x?w=32&fm=webp 32w")
