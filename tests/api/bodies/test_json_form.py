"""JSON reader compared with `json.loads` and `base64`, for generated texts and chunks."""

import base64
import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api.bodies.base64_stream import Base64Stream
from app.api.bodies.json_form import JsonBody
from app.api.bodies.spool import Spool, Spools
from app.domain.errors import RequestError

# A small alphabet of characters that matter to JSON: all of Unicode would take seconds to build.
WORDS = st.text(alphabet='ab"\\/{}[]:,\n\0é\U0001f305', max_size=12)
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
OTHER_KEYS = st.sampled_from(["title", "alt", "tags", "filename", "content_type", "image_base6", "x", 'q"\\'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
PICTURES = st.binary(min_size=1, max_size=300)


@st.composite
def escaped(draw: st.DrawFn, text: str) -> str:
    """Return the text as a JSON string, with random escapes."""
    ways = draw(st.lists(st.integers(0, 9), min_size=1, max_size=8))

    def spell(at: int, character: str) -> str:
        way = ways[at % len(ways)]
        if way == 0 or character in '"\\' or ord(character) < 32:
            code = ord(character)
            return f"\\u{code:04X}" if way % 2 else f"\\u{code:04x}"
        return "\\/" if way == 1 and character == "/" else character

    return '"' + "".join(spell(at, character) for at, character in enumerate(text)) + '"'


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Generate a JSON object with an image, and the image."""
    picture = draw(PICTURES)
    text = base64.b64encode(picture).decode()
    if draw(st.booleans()):
        width = draw(st.integers(1, 80))
        text = "\r\n".join(text[at : at + width] for at in range(0, len(text), width))
    members = [(json.dumps(key), json.dumps(value)) for key, value in draw(st.dictionaries(OTHER_KEYS, VALUES)).items()]
    at = draw(st.integers(0, len(members)))
    members.insert(at, (draw(escaped("image_base64")), draw(escaped(text))))
    blank = draw(st.sampled_from(["", " ", "\n\t"]))
    inside = f",{blank}".join(f"{key}{blank}:{blank}{value}" for key, value in members)
    return f"{blank}{{{blank}{inside}{blank}}}{blank}".encode(), picture


def read(body: bytes, cuts: list[int]) -> tuple[Any, bytes]:
    """Read the body in these pieces; return the result or error, and the image."""
    spool = Spool(Spools(None, 10_000_000), 10_000_000)  # type: ignore[arg-type]  # no store: everything is in memory
    reader = JsonBody(spool, 10_000_000)
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    result: Any
    try:
        for start, end in itertools.pairwise(places):
            reader.feed(body[start:end])
        result = reader.finish()
    except RequestError as error:
        result = error.code
    picture = spool.rewind().read()
    spool.close()
    return result, picture


CUTS = st.lists(st.integers(0, 10_000), max_size=12)


#: Refusals of fields other than the image, which are checked after it.
OF_OTHER_FIELDS = {"unknown_field", "wrong_type", "too_long", "control_character", "bad_metadata_key"}


@UNHURRIED
@given(bodies(), CUTS)
def test_the_image_is_that_of_other_parsers(body: tuple[bytes, bytes], cuts: list[int]) -> None:
    text, picture = body
    result, found = read(text, cuts)
    assert found == picture or result == "unknown_field"
    assert not isinstance(result, str) or result in OF_OTHER_FIELDS


@UNHURRIED
@given(bodies(), CUTS, st.integers(0, 10_000), st.binary(max_size=3))
def test_a_damaged_body_is_never_misread(body: tuple[bytes, bytes], cuts: list[int], at: int, damage: bytes) -> None:
    place = at % (len(body[0]) + 1)
    text = body[0][:place] + damage + body[0][place + 1 :]
    result, found = read(text, cuts)
    if isinstance(result, str):
        assert result == read(text, [])[0]  # the error is the same for any chunks
        return
    document = json.loads(text.decode("utf-8-sig"), strict=False)
    encoded = document["image_base64"]
    encoded = encoded.lstrip().partition(",")[2] if encoded.lstrip()[:5].lower() == "data:" else encoded
    encoded = "".join(encoded.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    assert found == base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)


@UNHURRIED
@given(st.binary(max_size=200), CUTS)
def test_any_bytes_are_read_or_refused(body: bytes, cuts: list[int]) -> None:
    result, _ = read(body, cuts)
    assert isinstance(result, str)


@UNHURRIED
@given(st.text(alphabet='{}[]:,"\\ \tntru0-9eimageimage_base64', max_size=120), CUTS)
def test_any_json_like_text_is_read_or_refused(text: str, cuts: list[int]) -> None:
    result, _ = read(text.encode(), cuts)
    assert isinstance(result, str) or json.loads(text, strict=False)["image_base64"]


ALPHABET = "ABC+/-_= \n\r\t0"


@UNHURRIED
@given(st.text(alphabet=ALPHABET, max_size=40), CUTS)
def test_base64_in_pieces_has_the_meaning_of_the_whole(text: str, cuts: list[int]) -> None:
    def decode(pieces: list[bytes]) -> bytes | str:
        decoded: list[bytes] = []
        stream = Base64Stream(decoded.append, "x")
        try:
            for piece in pieces:
                stream.feed(piece)
            stream.finish()
        except RequestError as error:
            return error.code
        return b"".join(decoded)

    raw = text.encode()
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    found = decode([raw[start:end] for start, end in itertools.pairwise(places)])
    assert found == decode([raw])
    if isinstance(found, bytes):
        plain = "".join(text.split()).translate({ord("-"): "+", ord("_"): "/"})
        assert base64.b64encode(found).decode().rstrip("=") == plain.rstrip("=")
        assert plain.endswith("=") <= (len(plain) % 4 == 0)


def test_a_byte_order_mark_is_ignored() -> None:
    result, found = read(b'\xef\xbb\xbf{"image_base64": "AAAA"}', [1, 2])
    assert not isinstance(result, str)
    assert found == b"\0\0\0"


def test_line_breaks_in_the_image_need_no_escape_and_hide_no_other_error() -> None:
    assert read(b'{"image_base64": "AA\r\n AA\n"}', [])[1] == b"\0\0\0"
    reader = JsonBody(Spool(Spools(None, 1000), 1000), 1000)  # type: ignore[arg-type]
    reader.feed(b'{"image_base64": "AA\nAA",}')
    with pytest.raises(RequestError, match="trailing comma"):
        reader.finish()


def test_many_small_values_are_refused_before_they_take_memory() -> None:
    for value in (b"[],", b"{},", b"1.5,", b'"",'):
        result, _ = read(b'{"image_base64": "AAAA", "tags": [' + value * 100_000 + b"1]}", [])
        assert result == "fields_too_large"
