"""The API's function: requests as gateways hand them on, answers as they take them."""

import base64
import hashlib
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.entry_points.opened import Answer, Place, form, get_event, upload_event
from tests.events import payload
from tests.samples import encoded

Api = Callable[..., Answer]
MEBIBYTE = 1024 * 1024


def padded(size: int) -> bytes:
    """A JPEG of that many bytes, every byte value among those after its end."""
    return (encoded() + bytes(range(256)) * (size // 256 + 1))[:size]


def stored(place: Place, image_id: str) -> bytes:
    body = place.made.s3.get_object(Bucket=place.bucket, Key=f"originals/{image_id}")["Body"]
    with body:
        found: bytes = body.read()
    return found


def test_a_form_of_the_largest_size_arrives_byte_for_byte(api: Api, aws_place: Place) -> None:
    content = padded(4 * MEBIBYTE)
    answer = api(upload_event(content, title="Ä dagurør\u00f8 – \ufffd"))
    record = answer.json()
    assert (answer.status, record["bytes"]) == (201, 4 * MEBIBYTE), record
    assert record["sha256"] == hashlib.sha256(content).hexdigest()
    assert hashlib.sha256(stored(aws_place, record["id"])).hexdigest() == record["sha256"]
    assert record["title"] == "Ä dagurør\u00f8 – \ufffd"
    assert answer.headers["location"] == f"/images/{record['id']}"
    assert "connection" not in answer.headers


def test_a_byte_more_is_refused_with_the_way_for_larger_ones(api: Api) -> None:
    problem = api(upload_event(padded(4 * MEBIBYTE + 1))).problem(413, "too_large")
    assert (problem["limit_bytes"], problem["received_bytes"]) == (4 * MEBIBYTE, 4 * MEBIBYTE + 1)
    assert (problem["direct_upload"], problem["max_direct_bytes"]) == ("/upload/direct", 50 * MEBIBYTE)


def test_limits_tell_both(api: Api) -> None:
    told = api(get_event("/limits")).json()
    assert (told["max_upload_bytes"], told["max_direct_bytes"]) == (4 * MEBIBYTE, 50 * MEBIBYTE)
    assert 4 * MEBIBYTE * 4 / 3 < told["max_json_bytes"] < 6_000_000


def json_event(content: bytes, **fields: str) -> Any:
    body = json.dumps({"filename": "fotó.jpg", "image_base64": base64.b64encode(content).decode(), **fields})
    return payload("http_json", body=body, content_length=str(len(body.encode())))


def test_json_arrives_as_text_and_links_begin_with_the_stage(api: Api, aws_place: Place) -> None:
    content = padded(100_000)
    answer = api(json_event(content, title="\ufffd is meant"))
    record = answer.json()
    assert answer.status == 201, record
    assert stored(aws_place, record["id"]) == content
    assert (record["filename"], record["title"]) == ("fotó.jpg", "\ufffd is meant")
    here = f"/prod/images/{record['id']}"
    assert answer.headers["location"] == here
    assert (record["links"]["self"], record["links"]["original"]) == (here, f"{here}/original")
    problem = api(json_event(padded(4 * MEBIBYTE + 1))).problem(413, "too_large")
    assert problem["direct_upload"] == "/prod/upload/direct"


@pytest.mark.parametrize("stage", ["prod", "$default"])
def test_pages_work_below_a_stage(api: Api, stage: str) -> None:
    prefix = "/prod" if stage == "prod" else ""
    page = api(get_event(f"{prefix}/docs", stage=stage))
    assert (page.status, page.raw["isBase64Encoded"]) == (200, False)
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page.content.decode())
    assert {a.rpartition(".")[2] for a in addresses} == {"js", "css", "png"}
    for address in addresses:
        found = api(get_event(f"{prefix}/{address}", stage=stage))
        assert (found.status, len(found.content) > 10) == (200, True), address
    description = api(get_event(f"{prefix}/openapi.json", stage=stage)).json()
    domain = get_event("/")["requestContext"]["domainName"]
    assert description["servers"] == [{"url": f"https://{domain}{prefix}"}]
    front = api(get_event(f"{prefix}/", stage=stage))
    assert front.status == 200
    for address in re.findall(r'(?:src|href)="([^"]*)"', front.content.decode()):
        found = api(get_event(f"{prefix}/{address}", stage=stage))
        assert (found.status, len(found.content) > 10) == (200, True), address


def test_the_bare_stage_leads_to_its_front(api: Api) -> None:
    answer = api(get_event("/prod", stage="prod"))
    assert (answer.status, answer.headers["location"]) == (308, "/prod/")
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/prod", "/prod/limits", "/production/limits", "/limits/prod"])
def test_a_path_that_only_looks_like_a_stage_is_none(api: Api, path: str) -> None:
    assert api(get_event(path)).status == 404
    assert api(get_event("/limits", stage="prod")).status == 200


def test_binary_answers_are_marked_and_text_is_not(api: Api) -> None:
    icon = api(get_event("/static/favicon.png"))
    assert (icon.raw["isBase64Encoded"], icon.headers["content-type"]) == (True, "image/png")
    assert icon.content.startswith(b"\x89PNG\r\n\x1a\n")
    assert int(icon.headers["content-length"]) == len(icon.content)
    for path, kind in (("/docs", "text/html"), ("/limits", "application/json"), ("/no", "application/problem+json")):
        answer = api(get_event(path))
        assert answer.headers["content-type"].startswith(kind)
        assert answer.raw["isBase64Encoded"] is False
    head = api(get_event("/static/favicon.png", method="HEAD"))
    assert (head.status, head.content, head.headers["content-length"]) == (200, b"", str(len(icon.content)))


def test_a_list_below_a_stage_goes_on_by_its_link(api: Api) -> None:
    for number in range(3):
        assert api(json_event(encoded(seed=number))).status == 201
    first = api(get_event("/prod/images", query="limit=2", stage="prod"))
    target = re.fullmatch(r'<(/prod/images)\?(.*)>; rel="next"', first.headers["link"])
    assert target
    second = api(get_event(target[1], query=target[2], stage="prod"))
    ids = [item["id"] for item in (*first.json()["items"], *second.json()["items"])]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) > 2


def test_the_gateways_request_id(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answer = api(get_event("/nothing"))
    assert answer.problem(404, "no_such_path")["request_id"] == "BpT3XiPcjoEEJkQ="
    chosen = get_event("/nothing")
    chosen["headers"]["x-request-id"] = "mine-1"
    assert api(chosen).problem(404, "no_such_path")["request_id"] == "mine-1"
    forged = get_event("/nothing")
    forged["headers"] |= {"x-request-id": "no good\r\n", "x-forwarded-for": "1.2.3.4"}
    assert api(forged).headers["x-request-id"] == "BpT3XiPcjoEEJkQ="
    lines = [entry.__dict__ for entry in caplog.records if entry.levelno == logging.INFO]
    assert [line["request_id"] for line in lines] == ["BpT3XiPcjoEEJkQ=", "mine-1", "BpT3XiPcjoEEJkQ="]
    assert {line["gateway_id"] for line in lines} == {"BpT3XiPcjoEEJkQ="}
    assert {line["name"] for line in lines} == {"app.request"}, "one line a request, and it is ours"


def rest_event(proxy: str, full: str, domain: str = "f6g7h8i9j0.execute-api.eu-west-1.amazonaws.com") -> Any:
    return payload("rest_get", proxy=proxy, full_path=full, domain=domain)


def test_a_key_given_twice_in_the_query_is_seen_twice(api: Api) -> None:
    assert api(get_event("/images", query="limit=2")).status == 200
    rest = rest_event("images", "/prod/images")
    assert api(rest).status == 200
    for event in (
        get_event("/images", query="limit=1&limit=2"),
        {**rest, "multiValueQueryStringParameters": {"limit": ["1", "2"]}},
    ):
        (complaint,) = api(event).problem(422, "invalid_request")["errors"]
        assert complaint["field"] == "query.limit"


def test_a_rest_api_is_served_below_its_stage(api: Api) -> None:
    for number in range(3):
        api(json_event(encoded(seed=number)))
    answer = api(rest_event("images", "/prod/images"))
    assert (answer.status, len(answer.json()["items"])) == (200, 2)
    assert answer.json()["items"][0]["links"]["self"].startswith("/prod/images/")
    assert answer.headers["link"].startswith("</prod/images?limit=2&")


def test_a_custom_domain_with_a_mapping(api: Api) -> None:
    api(json_event(encoded()))
    mapped = api(rest_event("images", "/pictures/images", "img.example.org"))
    assert mapped.json()["items"][0]["links"]["self"].startswith("/pictures/images/")
    bare = api(rest_event("images", "/images", "img.example.org"))
    assert bare.json()["items"][0]["links"]["self"].startswith("/images/")
    described = api(rest_event("openapi.json", "/pictures/openapi.json", "img.example.org"))
    assert described.json()["servers"] == [{"url": "https://img.example.org/pictures"}]


def test_forwarding_headers_of_a_client_change_no_url(api: Api) -> None:
    spoofed = {
        "host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-prefix": "/evil",
        "forwarded": "host=evil.example", "x-forwarded-proto": "gopher",
    }  # fmt: skip
    for path in ("/openapi.json", "/images", "/"):
        event = get_event(path)
        event["headers"] |= spoofed
        answer = api(event)
        assert answer.status < 400
        assert "evil" not in answer.content.decode() + str(answer.headers)


def test_a_load_balancer_and_a_functions_url(api: Api) -> None:
    api(json_event(encoded(), tags="a b"))
    answer = api(payload("alb_get", path="/images"))
    assert [item["tags"] for item in answer.json()["items"]] == [["a b"]]
    assert api(payload("url_get", path="/healthz")).json() == {"status": "ok"}


def damaged(content: bytes, **fields: str) -> Any:
    """Convert a form as a REST API without binary media types does."""
    content_type, body = form(content, **fields)
    return payload("rest_multipart", content_type=content_type, body=body.decode(errors="replace"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_body_damaged_by_the_gateway_is_answered_with_the_setting(api: Api, kind: str) -> None:
    problem = api(damaged(encoded(kind))).problem(415, "damaged_by_gateway")
    assert "BinaryMediaTypes" in problem["detail"]
    assert (problem["setting"], problem["value"]) == ("BinaryMediaTypes", ["*/*"])
    assert problem["request_id"] == "7c9b2f0e-6a64-4d2c-9a53-0f6c2f9d8b31"


@pytest.mark.parametrize("content_type", ["image/jpeg", "application/octet-stream"])
def test_a_raw_body_damaged_by_the_gateway_is_answered_with_the_setting(api: Api, content_type: str) -> None:
    event = payload("rest_multipart", content_type=content_type, body=encoded().decode(errors="replace"))
    assert api(event).problem(415, "damaged_by_gateway")["setting"] == "BinaryMediaTypes"


def test_a_raw_body_arrives_byte_for_byte(api: Api, aws_place: Place) -> None:
    content = padded(4 * MEBIBYTE - 7)  # no other test's bytes
    event = payload("http_multipart", content_type="image/jpeg", content_length=str(len(content)),
                    body=base64.b64encode(content).decode())  # fmt: skip
    event["rawQueryString"] = "filename=n%C3%A4ive.jpg&tags[]=sea&tags[]=sky"
    record = api(event).json()
    assert (record["filename"], record["tags"]) == ("näive.jpg", ["sea", "sky"]), record
    assert stored(aws_place, record["id"]) == content


def test_a_replacement_character_that_was_meant_is_no_damage(api: Api, aws_place: Place) -> None:
    text_only = b"II*\0" + bytes(range(1, 100))
    answer = api(damaged(text_only, title="what \ufffd is"))
    assert (answer.status, answer.json()["title"]) == (201, "what \ufffd is")
    assert stored(aws_place, answer.json()["id"]) == text_only
    assert api(damaged(b"no picture", title="\ufffd")).problem(415, "unsupported_type")


@pytest.mark.parametrize(
    "event",
    [
        *({"kind": name} for name in ("warm_up_empty", "warm_up_schedule")), None, [], "hello", 3,
        {"Records": []}, {"Records": [{"eventSource": "aws:s3"}]}, {"requestContext": {}},
        {"version": "2.0", "requestContext": {}}, {"version": "2.0", "requestContext": {"http": None}},
        {"resource": "/", "requestContext": {}},
    ],
    ids=str,
)  # fmt: skip
def test_an_event_that_is_no_request_is_refused_and_the_next_one_is_served(api: Api, event: Any) -> None:
    sent = payload(event["kind"]) if isinstance(event, dict) and "kind" in event else event
    answer = api(sent)
    assert (answer.status, answer.json()["code"]) == (400, "unknown_event")
    assert api(get_event("/healthz")).status == 200


@pytest.mark.parametrize("body", ["A", "\ud800"])
def test_a_body_that_cannot_be_read(api: Api, body: str) -> None:
    event = upload_event(b"x") | {"body": body}
    event["isBase64Encoded"] = body == "A"
    assert api(event).json()["code"] == "unknown_event"


def test_uploads_leave_no_file_behind(api: Api, scratch: Path) -> None:
    for size in (2 * MEBIBYTE, 4 * MEBIBYTE + 1):
        api(upload_event(padded(size)))
    assert list(scratch.iterdir()) == []
