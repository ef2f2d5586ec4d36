"""The CDN's function that turns urls of sizes into keys: the template's code in Node, against the rules of the API."""

import json
import random
import subprocess
from functools import cache
from typing import Any
from urllib.parse import quote

import pytest

from app.api.size_requests import read_size_request
from app.domain.errors import RequestError
from app.domain.sizes.snapping import Ladder
from tests.template.conftest import ALL
from tests.template.reading import Stack, source

pytestmark = pytest.mark.clients

IMAGE = "0190c2f3-1234-7abc-8def-0123456789ab"
WIDTHS, RATIOS = "640,32,1000,16383", "1:1,16:9,3:7"
LADDERS = {jxl: Ladder((32, 640, 1000, 16383), ("1:1", "16:9", "3:7"), jxl) for jxl in (True, False)}
API = "https://img.example.org"

#: Runs the events on standard input, one a line, as CloudFront would.
RUN = """
var lines = require('fs').readFileSync(0, 'utf8').split('\\n').filter(Boolean);
console.log(JSON.stringify(lines.map(function (line) { return handler(JSON.parse(line)); })));
"""


@cache
def code(mode: str = "snap", *, jxl: bool = False) -> str:
    given = {"OnDemand": mode, "OnDemandWidths": WIDTHS, "OnDemandRatios": RATIOS, "OnDemandJxl": str(jxl).lower()}
    stack = Stack(source(), **ALL | given)
    text: str = stack["SizeKeys"]["FunctionCode"]
    return text


def event(path: str, query: str, accept: str | None = None) -> Any:
    """An event of CloudFront, which does not decode queries. The first of several values has its own member too."""
    given: dict[str, Any] = {}
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        if name in given:
            given[name].setdefault("multiValue", [{"value": given[name]["value"]}]).append({"value": value})
        else:
            given[name] = {"value": value}
    headers = {} if accept is None else {"accept": {"value": accept}}
    return {"request": {"method": "GET", "uri": path, "querystring": given, "headers": headers}}


def in_node(events: list[Any], mode: str = "snap", *, jxl: bool = False) -> list[Any]:
    lines = "\n".join(map(json.dumps, events))
    done = subprocess.run(
        ["node", "-e", code(mode, jxl=jxl) + RUN], input=lines, capture_output=True, text=True, check=True, timeout=120
    )
    found: list[Any] = json.loads(done.stdout)
    return found


def in_python(path: str, query: str, accept: str | None = None, *, jxl: bool = False) -> str | None:
    """Return the path of the size's key by the rules of the API; None if the API must be asked."""
    slug = path.removeprefix(f"/i/{IMAGE}").removeprefix("/")
    headers = [] if accept is None else [(b"accept", accept.encode())]
    scope = {"query_string": query.encode(), "path_params": {"slug": slug}, "headers": headers, "type": "http"}
    try:
        asked = read_size_request(scope)
        if asked.variant or asked.signature is not None or not asked.query.has_size:
            return None
        form = asked.choose_format(LADDERS[jxl].formats)
        if form not in LADDERS[jxl].formats:
            return None
        operation = LADDERS[jxl].snap(asked.query, form)
    except RequestError:
        return None
    return f"/ondemand/{IMAGE}/{operation.name}" if operation else None


def outcome(answer: Any) -> str | None:
    """Return the path that the function makes; None for a redirect to the API."""
    if "statusCode" not in answer:
        assert answer["querystring"] == {}
        uri: str = answer["uri"]
        return uri
    assert answer["statusCode"] == 302
    assert answer["headers"]["location"]["value"].startswith(f"{API}/i/")
    assert answer["headers"]["cache-control"]["value"] == "no-store"
    return None


QUERIES = [
    "", "w=640", "width=640", "w=641", "w=1", "w=99999", "w=16383", "w=0", "w=-1", "w=1e9", "w=NaN", "w=", "w=640.4",
    "w=640&width=640", "w=640&width=641", "w=640&w=640", "w=640&w=32", "w=640&q=62", "q=63", "q=100", "q=0", "q=101",
    "w=640&fm=jpg", "w=640&f=webp", "w=640&format=AVIF", "w=640&fm=png&q=10", "w=640&fm=gif", "w=640&fm=auto",
    "w=640&fm=jxl", "w=640&auto=format", "w=640&auto=compress,format", "w=640&auto=compress",
    "w=640&fm=jpg&auto=format",
    "w=640&dpr=2", "w=640&dpr=0.1", "w=640&dpr=11", "w=5&dpr=0.1", "w=640&h=640", "w=640&h=360", "w=641&h=361",
    "w=640&h=641", "w=640&h=647", "w=300&h=700", "w=300&h=700&fit=crop", "w=300&h=300&fit=inside",
    "w=300&h=300&fit=fill", "w=300&h=300&fit=other", "h=300", "h=300&fit=cover", "size=thumb", "size=&w=640",
    "w=640&s=abc", "w=640&s=", "w=640&v=1", "w=640&unknown=1", "withoutEnlargement=true&w=640&fit=cover",
    "w=640%20", "w=6+4", "%77=640", "w=640&__proto__=1", "w=640&constructor=1", "fm=__proto__&w=640",
    "fit=constructor&w=1&h=1",
]  # fmt: skip
SLUGS = ["", "/", "/a.jpg", "/a.webp", "/a.b.png", "/a.JPEG", "/jpg", "/a/b.avif", "/a.unknown", "/a.gif", "/a.jxl"]
ACCEPTS = [
    None, "", "*/*", "image/*", "image/avif,image/webp,image/apng,image/*,*/*;q=0.8", "image/webp;q=0.1,image/jpeg",
    "image/jpeg,*/*", "image/webp;q=0", "image/webp;q=2", "image/webp;q=x,*/*;q=0.5", "text/html", "IMAGE/WEBP",
    "image/jpeg, image/webp", "image/*;q=0.5,image/webp;q=0.5", "image/jxl,image/avif,image/webp,image/*,*/*;q=0.8",
    "image/jxl;q=0.5,image/webp", "image/jxl;q=0.5,*/*;q=0.5", "image/jxl;q=0,*/*", "image/jxl",
    "image/jxl;q=0.4,image/*",
]  # fmt: skip


def check(cases: list[tuple[str, str, str | None]], *, jxl: bool = False) -> int:
    """Compare both for each case; return the number of those that the CDN answers itself."""
    answers = in_node([event(*case) for case in cases], jxl=jxl)
    found = {case: outcome(answer) for case, answer in zip(cases, answers, strict=True)}
    expected = {case: in_python(*case, jxl=jxl) for case in cases}
    different = {case: (found[case], expected[case]) for case in cases if found[case] not in {None, expected[case]}}
    assert different == {}, "found by Node, by Python"
    left = [case for case in cases if found[case] is None and expected[case] and not set("%+") & {*case[0], *case[1]}]
    assert left == [], "left to the API without need"
    return sum(path is not None for path in found.values())


@pytest.mark.parametrize("jxl", [False, True])
def test_urls_lead_to_the_keys_of_the_api(*, jxl: bool) -> None:
    cases = [(f"/i/{IMAGE}{slug}", query, None) for query in QUERIES for slug in SLUGS]
    cases += [(f"/i/{IMAGE}", query, accept) for query in ("w=640", "w=640&fm=auto") for accept in ACCEPTS]
    assert check(cases, jxl=jxl) > 100


def test_random_urls_lead_to_the_keys_of_the_api() -> None:
    dice = random.Random(7)
    names = ["w", "width", "h", "height", "q", "quality", "fm", "format", "f", "fit", "dpr", "auto", "x"]
    values = ["cover", "inside", "auto", "webp", "jpg", "format", "1", "2", "0.5", "1.5", "100"]

    def value(name: str) -> str:
        if dice.random() < 0.7 and name in {"w", "width", "h", "height"}:
            return str(dice.choice([dice.randrange(1, 1300), dice.randrange(1, 20_000)]))
        return quote(dice.choice(values)) if dice.random() < 0.6 else str(dice.randrange(0, 120))

    cases = []
    for _ in range(4000):
        chosen = [dice.choice(names) for _ in range(dice.randrange(1, 4))]
        query = "&".join(f"{name}={value(name)}" for name in chosen)
        cases.append((f"/i/{IMAGE}{dice.choice(SLUGS)}", query, dice.choice(ACCEPTS)))
    for width in range(1, 400):
        cases.append((f"/i/{IMAGE}", f"w={width}&h={dice.randrange(1, 400)}", None))
        cases.append((f"/i/{IMAGE}", f"w={width}&h={round(width * 9 / 16) + dice.randrange(-2, 3)}", None))
    assert check([case for case in cases if "h=0" not in case[1]]) > 500


@pytest.mark.parametrize(
    "path", ["/i/", "/i/x", f"/i/{IMAGE.upper()}", f"/i/{IMAGE}x", f"/i/{IMAGE[:-1]}", f"/i/{IMAGE}/%2e.jpg"]
)
def test_other_paths_are_left_to_the_api(path: str) -> None:
    (answer,) = in_node([event(path, "w=640&x=a%20b")])
    assert answer["headers"]["location"]["value"] == f"{API}{path}?w=640&x=a%20b"


def test_signed_urls_are_left_to_the_api_whole() -> None:
    (answer,) = in_node([event(f"/i/{IMAGE}/a.jpg", "w=123&w=4&s=a-b_c")])
    assert answer["headers"]["location"]["value"] == f"{API}/i/{IMAGE}/a.jpg?w=123&w=4&s=a-b_c"


def test_in_the_signed_mode_the_api_decides() -> None:
    (answer,) = in_node([event(f"/i/{IMAGE}", "w=640")], mode="signed")
    assert outcome(answer) is None
