"""Text fields that are slow to process.

Times are compared with that of other work, measured next to the request: so they do not depend on the machine.
"""

import json
import time
from collections.abc import Callable
from functools import cache

import pytest

from tests.api.bodies.test_bad_input import B64, END, FILE, JPEG, assert_problem, form, part, picture, text
from tests.api.service import Service

#: Normalization sorts the combining marks of a letter: in quadratic time on many versions of Python.
MARKS = "a" + "\u0301" * 15_000 + "\u0323" * 15_000
#: As many as fit into a JSON body.
FEWER = MARKS[::2]


def cpu_seconds(action: Callable[[], object], times: int = 3) -> float:
    """Return the processor time of an action, the shortest of several."""
    measured = []
    for _ in range(times):
        started = time.process_time()
        action()
        measured.append(time.process_time() - started)
    return min(measured)


@cache
def seconds_of_100_passes(words: str) -> float:
    """Return the processor time of reading a text a hundred times: much for one request, little for the slow way."""
    return cpu_seconds(lambda: [sum(map(ord, words)) for _ in range(100)])


@pytest.mark.parametrize("field", ["title", "alt", "tags"])
@pytest.mark.parametrize("as_json", [False, True], ids=["form", "JSON"])
def test_text_with_many_combining_marks_is_refused_fast(service: Service, field: str, as_json: bool) -> None:
    words = FEWER if as_json else MARKS
    parts = part(field, words.encode()) * (4 if field == "tags" else 1)
    body = (
        picture(B64, f', "{field}": {json.dumps(words, ensure_ascii=False)}') if as_json else form(FILE + parts + END)
    )
    problem = assert_problem(service.client.post("/upload", **body), 422, "too_long")
    assert cpu_seconds(lambda: service.client.post("/upload", **body)) < seconds_of_100_passes(words)
    assert problem["measured"] == len(words)
    assert problem["limit"] == {"title": 200, "alt": 1000, "tags": 64}[field]


@pytest.mark.parametrize("way", ["form", "JSON", "ticket"])
def test_a_file_name_with_many_combining_marks_is_cut_fast(service: Service, way: str) -> None:
    if way == "form":  # the headers of a part are limited
        body = form(part("file", JPEG, MARKS[13_500:16_500] + ".jpg") + END)
    elif way == "JSON":
        body = picture(B64, f', "filename": {json.dumps(FEWER + ".jpg", ensure_ascii=False)}')
    else:
        body = {"json": {"bytes": 100, "content_type": "image/jpeg", "filename": MARKS[12_600:17_590] + ".jpg"}}
    path = "/upload/direct" if way == "ticket" else "/upload"
    answer = service.client.post(path, **body)
    assert answer.status_code == 201, answer.text
    if way != "ticket":
        assert answer.json()["filename"].endswith(".jpg")
    if way == "JSON":  # the others are too short to be slow
        assert cpu_seconds(lambda: service.client.post(path, **body)) < seconds_of_100_passes(FEWER)


def test_many_tags_are_counted_without_being_normalized(service: Service) -> None:
    tags = ",".join(f"t{number}" for number in range(9000))
    problem = assert_problem(
        service.client.post("/upload", **form(FILE + part("tags", tags.encode()) + END)), 422, "too_long"
    )
    assert (problem["field"], problem["measured"], problem["limit"]) == ("tags", 9000, 20)


def test_text_is_measured_after_normalization(service: Service) -> None:
    title = "\u1ec7" * 200
    apart = "e\u0323\u0302" * 200
    answer = service.client.post("/upload", **picture(B64, f', "title": "{apart}", "tags": "{apart[:192]}, ,sea"'))
    assert answer.status_code == 201, answer.text
    assert (answer.json()["title"], answer.json()["tags"]) == (title, [title[:64], "sea"])


def test_a_duplicate_member_is_found_fast(service: Service) -> None:
    names = [chr(0x100 + number) for number in range(8000)]
    body = text("{" + ",".join(f'"{name}":1' for name in [*names, names[-1]]) + "}")
    problem = assert_problem(service.client.post("/upload", **body), 400, "duplicate_field")
    assert ascii(names[-1]) in problem["detail"]
    slow = cpu_seconds(lambda: [name in names[:number] for number, name in enumerate(names)], times=1)
    assert cpu_seconds(lambda: service.client.post("/upload", **body)) < slow / 2


HIDDEN = "\u202eto\u200bp\u2066 \u00adse\u200dcret\ufeff\U000e0041"


@pytest.mark.parametrize("way", ["form", "JSON", "raw", "ticket"])
def test_invisible_characters_are_removed(service: Service, way: str) -> None:
    words = {"title": HIDDEN, "alt": HIDDEN, "tags": f"{HIDDEN},top secret,👩\u200d👧"}
    if way == "form":
        parts = b"".join(part(name, text.encode()) for name, text in words.items())
        answer = service.client.post("/upload", **form(part("file", JPEG, f"{HIDDEN}.jpg") + parts + END))
    elif way == "JSON":
        answer = service.client.post("/upload", json={"image_base64": B64, "filename": f"{HIDDEN}.jpg", **words})
    elif way == "raw":
        query = {"filename": f"{HIDDEN}.jpg", **words}
        answer = service.client.post("/upload", params=query, content=JPEG, headers={"content-type": "image/jpeg"})
    else:
        wanted = {"bytes": 5, "content_type": "image/jpeg", "filename": f"{HIDDEN}.jpg", **words}
        answer = service.client.post("/upload/direct", json=wanted)
    assert answer.status_code == 201, answer.text
    record = service.client.get(f"/images/{answer.json()['id']}").json()
    assert (record["title"], record["alt"], record["filename"]) == ("top secret", "top secret", "top secret.jpg")
    assert record["tags"] == ["top secret", "👩\u200d👧"]
    if way != "ticket":  # whose image is not listed before its bytes arrive
        found = service.client.get("/images", params={"tag": HIDDEN}).json()["items"]
        assert [image["id"] for image in found] == [record["id"]]


@pytest.mark.parametrize("text", ["a\ud800b", "a\0b", "\x1b[31mred", "a\x7fb"])
def test_control_characters_and_lone_surrogates_are_refused(service: Service, text: str) -> None:
    for field in ("title", "alt", "tags"):
        body = json.dumps({"image_base64": B64, field: text})
        assert_problem(
            service.client.post("/upload", content=body, headers={"content-type": "application/json"}),
            422,
            "control_character",
        )
    assert service.left_behind() == []
