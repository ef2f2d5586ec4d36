"""Records: get, list and delete."""

import threading
import time
from datetime import timedelta
from html import escape
from urllib.parse import parse_qs, urlsplit

import pytest

from app.domain.ids import id_time
from app.domain.models import Failure, FailureCode, Hdr, Status, Visibility, utcnow
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.service import Service

UNKNOWN = "019a9d1c-7c1e-7a3b-9f60-3d2b5a1c8e47"
IDS = [UNKNOWN, "x", "%2e%2e", "%2e%2e%2fdata", "a" * 10_000, "%00", UNKNOWN.upper(), "é"]


def test_a_record_has_all_public_fields_and_no_internal_ones(service: Service) -> None:
    image = service.place(title='<Hills> & "sea"', exif={"Model": "X"})
    answer = service.client.get(f"/images/{image.id}")
    record = answer.json()
    assert answer.status_code == 200
    assert answer.headers["etag"]
    assert not {"stale_renderings", "last_tried_at"} & record.keys()
    assert all("file" not in variant for variant in record["variants"])
    assert {(v["name"], v["format"]) for v in record["variants"]} == {
        ("thumb", "webp"), ("w320", "webp"), ("w1280", "webp"), ("w1280", "jpeg"),
    }  # fmt: skip
    for variant in record["variants"]:
        found = service.fetch(variant["url"])
        assert (found.headers["content-type"], len(found.content)) == (f"image/{variant['format']}", variant["bytes"])
    urls = {(v["name"], v["format"]): escape(v["url"]) for v in record["variants"]}
    assert record["embed"]["html"] == (
        f'<picture><source type="image/webp" srcset="{urls["w320", "webp"]} 32w, {urls["w1280", "webp"]} 64w" '
        f'sizes="(max-width: 64px) 100vw, 64px"><img src="{urls["w1280", "jpeg"]}" width="64" height="48" '
        'alt="&lt;Hills&gt; &amp; &quot;sea&quot;" loading="lazy"></picture>'
    )


@pytest.mark.parametrize("hdr", [None, *Hdr])
def test_a_record_says_whether_the_original_is_hdr(service: Service, hdr: Hdr | None) -> None:
    image = service.place(hdr=hdr)
    assert service.client.get(f"/images/{image.id}").json()["hdr"] == hdr
    described = service.client.get("/openapi.json").json()["components"]["schemas"]
    assert described["Hdr"]["enum"] == ["pq", "hlg", "gain_map"]


def test_cropped_variants_are_never_in_the_html(service: Service) -> None:
    image = service.place()
    renamed = [v.model_copy(update={"name": "square"}) if v.name == "thumb" else v for v in image.variants]
    service.side.images.update(image.id, image.version, {"variants": renamed})
    record = service.client.get(f"/images/{image.id}").json()
    assert "square" in {v["name"] for v in record["variants"]}
    assert "w320.webp" in record["embed"]["html"]
    assert "thumb.webp" not in record["embed"]["html"]


def test_a_record_that_is_not_ready_has_no_html(service: Service) -> None:
    image = service.place(Status.PENDING)
    record = service.client.get(f"/images/{image.id}").json()
    assert (record["embed"]["html"], record["variants"]) == (None, [])


@pytest.mark.parametrize("image_id", IDS)
@pytest.mark.parametrize("rest", ["", "/original", "/variants/thumb", "/variants/thumb.webp"])
@pytest.mark.sampled(8)
def test_any_other_id_is_not_found(service: Service, image_id: str, rest: str) -> None:
    answer = service.client.get(f"/images/{image_id}{rest}")
    assert answer.status_code == 404
    assert answer.json()["code"] in {"image_not_found", "no_such_path"}


def test_an_unchanged_record_is_a_304(service: Service) -> None:
    image = service.place()
    tag = service.client.get(f"/images/{image.id}").headers["etag"]
    for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = service.client.get(f"/images/{image.id}", headers={"if-none-match": condition})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    service.side.images.update(image.id, image.version, {"title": "new"})
    answer = service.client.get(f"/images/{image.id}", headers={"if-none-match": tag})
    assert (answer.status_code, answer.json()["title"]) == (200, "new")


@pytest.mark.parametrize("asked", [{"params": {"wait": "20"}}, {"headers": {"prefer": "respond-async, wait=100"}}])
@pytest.mark.parametrize("ending", [Status.READY, Status.FAILED])
def test_waiting_ends_when_the_image_is_ready_or_failed(service: Service, asked: dict, ending: Status) -> None:  # type: ignore[type-arg]
    image = service.place(Status.PENDING)
    error = Failure(code=FailureCode.CORRUPT_IMAGE, detail="Cut short.") if ending is Status.FAILED else None

    def settle() -> None:
        service.side.images.update(image.id, image.version, {"status": ending, "error": error})

    timer = threading.Timer(0.3, settle)
    started = time.monotonic()
    timer.start()
    answer = service.client.get(f"/images/{image.id}", **asked)
    timer.join()
    assert answer.json()["status"] == ending
    assert 0.3 <= time.monotonic() - started < 20  # the wait that was asked for
    assert answer.headers.get("preference-applied") == ("wait=20" if "headers" in asked else None)


@pytest.mark.slow
def test_waiting_ends_at_the_timeout_or_when_the_image_is_deleted(service: Service) -> None:
    image = service.place(Status.PENDING)
    started = time.monotonic()
    assert service.client.get(f"/images/{image.id}?wait=1").json()["status"] == "pending"
    assert time.monotonic() - started >= 1
    timer = threading.Timer(0.2, lambda: service.client.delete(f"/images/{image.id}"))
    timer.start()
    assert_problem(service.client.get(f"/images/{image.id}?wait=20"), 404, "image_not_found")
    timer.join()


@pytest.mark.parametrize("wait", ["-1", "21", "x", "1e9"])
def test_a_wait_out_of_range_is_refused(service: Service, wait: str) -> None:
    problem = assert_problem(service.client.get(f"/images/{UNKNOWN}?wait={wait}"), 422, "invalid_request")
    assert problem["errors"][0]["field"] == "query.wait"


def test_delete_removes_every_byte_and_is_idempotent(service: Service) -> None:
    image = service.place()
    assert service.side.objects()
    for _ in range(2):
        answer = service.client.delete(f"/images/{image.id}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert service.side.objects() == set()
    assert service.client.get(f"/images/{image.id}").status_code == 404
    assert service.client.get("/images").json()["items"] == []


@pytest.mark.parametrize("image_id", IDS[:2])
def test_deleting_an_unknown_image_is_a_204(service: Service, image_id: str) -> None:
    assert service.client.delete(f"/images/{image_id}").status_code == 204


def test_pages_show_every_image_once_in_both_orders(service: Service) -> None:
    placed = [service.place(seed=seed).id for seed in range(7)]
    for order, expected in (("desc", placed[::-1]), ("asc", placed)):
        seen, url, pages = [], f"/images?limit=3&order={order}", 0
        while url:
            answer = service.client.get(url)
            page = answer.json()
            seen += [item["id"] for item in page["items"]]
            pages += 1
            url = answer.links.get("next", {}).get("url", "")
            assert bool(url) == (page["next_cursor"] is not None)
            if url:
                query = parse_qs(urlsplit(url).query)
                assert query == {"limit": ["3"], "order": [order], "cursor": [page["next_cursor"]]}
                assert len(page["items"]) == 3
        assert seen == expected
        assert pages == 3


def test_filters_select_the_listed_images(service: Service) -> None:
    ready = service.place(seed=1, tags=["sea", "a&b"])
    pending = service.place(Status.PENDING, seed=2)
    listed = lambda **query: [item["id"] for item in service.client.get("/images", params=query).json()["items"]]  # noqa: E731 - a word for the test
    assert listed() == [pending.id, ready.id]
    assert listed(status="ready") == [ready.id]
    assert listed(status="failed") == []
    assert listed(tag="a&b") == [ready.id]
    assert listed(content_type="image/jpeg", status="pending") == [pending.id]
    assert listed(content_type="image/png") == []
    between = id_time(ready.id) + timedelta(milliseconds=1)
    assert between <= id_time(pending.id), "two images within one millisecond"
    for moment in (between.isoformat(), between.isoformat().replace("+00:00", "Z"), between.isoformat().lower()):
        assert listed(uploaded_after=moment) == [pending.id]
        assert listed(uploaded_before=moment) == [ready.id]
    unencoded = between.isoformat()
    assert [i["id"] for i in service.client.get(f"/images?uploaded_after={unencoded}").json()["items"]] == [pending.id]


BAD_QUERIES = {
    "limit=0": ("query.limit", {"ge": 1}),
    "limit=-1": ("query.limit", {"ge": 1}),
    "limit=201": ("query.limit", {"le": 200}),
    "limit=1000000000": ("query.limit", {"le": 200}),
    "limit=1e9": ("query.limit", {}),
    "limit=ten": ("query.limit", {}),
    "limit=": ("query.limit", {}),
    "order=up": ("query.order", {"expected": "'desc' or 'asc'"}),
    "status=gone": ("query.status", {"expected": "'pending', 'ready' or 'failed'"}),
    "content_type=text/html": ("query.content_type", None),
    "uploaded_after=yesterday": ("query.uploaded_after", {}),
    "uploaded_after=1700000000": ("query.uploaded_after", {}),
    "uploaded_before=2026-11-22": ("query.uploaded_before", {}),
    "uploaded_before=2026-11-22T10:00:00": ("query.uploaded_before", {}),
    "uploaded_before=2026-02-30T10:00:00Z": ("query.uploaded_before", None),
    "stauts=ready": ("query.stauts", {}),
    "tag=": ("query.tag.0", {"min_length": 1}),
    "visibility=hidden": ("query.visibility", {"expected": "'private' or 'public'"}),
    "trashed=perhaps": ("query.trashed", {}),
    "tag[]=sea": ("query.tag[]", {}),
}


@pytest.mark.parametrize("query", BAD_QUERIES)
@pytest.mark.sampled(4)
def test_invalid_parameters_are_refused_with_their_limits(service: Service, query: str) -> None:
    field, bounds = BAD_QUERIES[query]
    problem = assert_problem(service.client.get(f"/images?{query}"), 422, "invalid_request")
    complaint = problem["errors"][0]
    name, _, value = query.partition("=")
    told = {"tag": {"measured": 0}, "stauts": {}, "tag[]": {}}.get(name, {"found": value})
    assert {key: complaint.pop(key) for key in ("found", "measured") if key in complaint} == told
    assert complaint.pop("field") == field
    assert "after validation" not in complaint.pop("message")
    assert bounds is None or complaint == bounds


@pytest.mark.parametrize("query", ["limit=1&order=asc&limit=1", "status=ready&status=", "x=1&x=2"])
def test_a_repeated_parameter_is_refused(service: Service, query: str) -> None:
    problem = assert_problem(service.client.get(f"/images?{query}"), 422, "invalid_request")
    assert [complaint["field"] for complaint in problem["errors"]] == [f"query.{query.partition('=')[0]}"]


def test_a_repeated_wait_is_refused(service: Service) -> None:
    image = service.place()
    problem = assert_problem(service.client.get(f"/images/{image.id}?wait=1&wait=2"), 422, "invalid_request")
    assert problem["errors"] == [{"field": "query.wait", "message": "Given more than once"}]
    assert problem["detail"] == "Invalid request: `query.wait`: Given more than once."


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59", "1969-07-20T20:17:00Z"])
def test_extreme_dates_are_accepted(service: Service, moment: str) -> None:
    service.place()
    for name in ("uploaded_after", "uploaded_before"):
        assert service.client.get(f"/images?{name}={moment}").status_code == 200


def test_a_cursor_is_valid_for_its_own_list_only(service: Service) -> None:
    for seed in range(3):
        service.place(seed=seed)
    cursor = service.client.get("/images?limit=1").json()["next_cursor"]
    assert service.client.get("/images", params={"cursor": cursor, "limit": 2}).status_code == 200
    for query in (
        {"cursor": cursor, "order": "asc"},
        {"cursor": cursor, "status": "ready"},
        {"cursor": cursor, "visibility": "private"},
        {"cursor": cursor, "trashed": "true"},
        {"cursor": cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")},
        {"cursor": "x"},
        {"cursor": ""},
        {"cursor": "a.b"},
        {"cursor": "é.\0"},
        {"cursor": UNKNOWN},
        {"cursor": "x" * 600},
    ):
        assert_problem(service.client.get("/images", params=query), 400, "bad_cursor")


def test_a_list_of_several_tags_has_images_with_all_of_them(service: Service) -> None:
    both = [service.place(seed=seed, tags=["dusk", "x", "sea"]).id for seed in range(3)]
    for seed, tags in enumerate((["sea"], ["dusk", "x"], [])):
        service.place(seed=10 + seed, tags=tags)
    first = service.client.get("/images?tag=sea&limit=2&tag=dusk&tag=sea")
    assert [item["id"] for item in first.json()["items"]] == both[:0:-1]
    assert parse_qs(urlsplit(first.links["next"]["url"]).query)["tag"] == ["sea", "dusk"]
    second = service.client.get(first.links["next"]["url"]).json()
    assert ([item["id"] for item in second["items"]], second["next_cursor"]) == ([both[0]], None)
    cursor = first.json()["next_cursor"]
    other_order = service.client.get("/images", params={"tag": ["dusk", "sea"], "cursor": cursor})
    assert [item["id"] for item in other_order.json()["items"]] == [both[0]]
    for tags in (["sea"], ["sea", "dusk", "x"], []):
        assert_problem(service.client.get("/images", params={"tag": tags, "cursor": cursor}), 400, "bad_cursor")


def test_a_list_has_at_most_ten_tags(service: Service) -> None:
    tags = [f"t{number}" for number in range(11)]
    image = service.place(tags=tags)
    found = service.client.get("/images", params={"tag": tags[:10]}).json()["items"]
    assert [item["id"] for item in found] == [image.id]
    problem = assert_problem(service.client.get("/images", params={"tag": tags}), 422, "invalid_request")
    (complaint,) = problem["errors"]
    assert (complaint["field"], complaint["measured"], complaint["max_length"]) == ("query.tag", 11, 10)


def test_a_list_of_one_visibility(service: Service) -> None:
    public = [service.place(seed=seed, visibility=Visibility.PUBLIC, tags=["x"]).id for seed in range(2)]
    private = service.place(seed=5, tags=["x"]).id
    for query, expected in (
        ({"visibility": "public"}, public[::-1]),
        ({"visibility": "private"}, [private]),
        ({"visibility": "public", "tag": "x", "status": "ready"}, public[::-1]),
        ({"visibility": "public", "status": "failed"}, []),
    ):
        assert [item["id"] for item in service.client.get("/images", params=query).json()["items"]] == expected


def test_the_trash_is_listed_separately_with_the_same_filters(service: Service) -> None:
    kept = service.place(seed=0, tags=["x"]).id
    trashed = [
        service.place(seed=1 + number, tags=tags, trashed_at=utcnow()).id
        for number, tags in enumerate((["x"], ["x", "y"], []))
    ]

    def listed(**query: object) -> list[str]:
        return [item["id"] for item in service.client.get("/images", params=query).json()["items"]]

    assert listed() == listed(trashed="false") == [kept]
    assert listed(trashed="true") == trashed[::-1]
    assert listed(trashed="true", tag="x") == [trashed[1], trashed[0]]
    assert listed(trashed="true", tag=["y", "x"], status="ready") == [trashed[1]]
    first = service.client.get("/images?trashed=true&limit=2")
    assert parse_qs(urlsplit(first.links["next"]["url"]).query)["trashed"] == ["true"]
    assert [item["id"] for item in service.client.get(first.links["next"]["url"]).json()["items"]] == [trashed[0]]
    cursor = first.json()["next_cursor"]
    assert_problem(service.client.get("/images", params={"cursor": cursor}), 400, "bad_cursor")


def test_a_tag_is_found_in_any_normalization_form(service: Service) -> None:
    tag = "\u1ec7" * 64
    image = service.place(tags=["x", tag])
    for written in (tag, "e\u0323\u0302" * 64):
        page = service.client.get("/images", params={"tag": written})
        assert page.status_code == 200, page.text
        assert [found["id"] for found in page.json()["items"]] == [image.id]
    for too_long in (tag + "x", "e\u0323\u0302" * 65, "e" + "\u0301" * 300):
        problem = assert_problem(service.client.get("/images", params={"tag": too_long}), 422, "invalid_request")
        assert problem["errors"][0]["max_length"] == 64


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/images", "GET, HEAD, DELETE, OPTIONS"),
        ("POST", f"/images/{UNKNOWN}", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("GET", "/upload", "POST, OPTIONS"),
        ("DELETE", "/healthz", "GET, HEAD, OPTIONS"),
        ("BREW", "/upload", "POST, OPTIONS"),
        ("POST", "/static/docs.js", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_method_that_is_not_allowed_lists_the_allowed_ones(
    service: Service, method: str, path: str, allow: str
) -> None:
    answer = service.client.request(method, path)
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allow
    asked = service.client.options(path)
    assert (asked.status_code, asked.headers["allow"]) == (204, allow)


def test_files_are_read_and_written_by_ticket(self_hosted: Service) -> None:
    for asked, status in ((self_hosted.client.post("/files/x"), 405), (self_hosted.client.options("/files/x"), 204)):
        assert (asked.status_code, asked.headers["allow"]) == (status, "GET, HEAD, PUT, OPTIONS")


def test_head_is_get_without_the_body(service: Service) -> None:
    image = service.place()
    for path in ("/images", f"/images/{image.id}", "/limits", "/docs", "/openapi.json", "/static/docs.js"):
        got, head = service.client.get(path), service.client.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        ignored = {"x-request-id", "date"}
        assert {k: v for k, v in head.headers.items() if k not in ignored} == {
            k: v for k, v in got.headers.items() if k not in ignored
        }
    assert service.client.head(f"/images/{UNKNOWN}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/nothing", "/images/", "/upload/", "/static/none.js", "/static/../app.py", "/static/"]
)
def test_an_unknown_path_is_a_problem_document(service: Service, path: str) -> None:
    assert_problem(service.client.get(path), 404, "no_such_path")


def test_an_image_of_another_owner_does_not_exist(service: Service) -> None:
    import io

    from app.domain.uploads.service import Upload, Uploads

    theirs = Uploads(service.side.store, service.side.images).accept(
        "someone", Upload(io.BytesIO(b"abc"), 3, "0" * 64, "image/jpeg")
    )
    missing = service.client.get(f"/images/{UNKNOWN}").json()
    answer = service.client.get(f"/images/{theirs.image.id}")
    assert answer.status_code == 404
    assert {**answer.json(), "request_id": ""} == {**missing, "request_id": ""}
    assert service.client.get("/images").json()["items"] == []
    assert service.client.get(f"/images/{theirs.image.id}/original").status_code == 404
    assert service.client.delete(f"/images/{theirs.image.id}").status_code == 204
    assert service.side.images.get(theirs.image.id) == theirs.image
