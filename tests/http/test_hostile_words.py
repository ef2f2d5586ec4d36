"""Words that take long to read, and ask for no more than that."""

import json
import time

import pytest

from tests.http.service import Service
from tests.http.test_bad_input import B64, END, FILE, JPEG, assert_problem, form, part, picture, text

#: Normalising sorts the marks of a letter, in time by the square of how many there are.
MARKS = "a" + "\u0301" * 15_000 + "\u0323" * 15_000
#: As many as a JSON body has room for, written bare.
FEWER = MARKS[::2]


@pytest.mark.parametrize("field", ["title", "alt", "tags"])
@pytest.mark.parametrize("as_json", [False, True], ids=["form", "JSON"])
def test_words_of_many_marks_are_refused_at_once(service: Service, field: str, as_json: bool) -> None:
    words = FEWER if as_json else MARKS
    parts = part(field, words.encode()) * (4 if field == "tags" else 1)
    body = (
        picture(B64, f', "{field}": {json.dumps(words, ensure_ascii=False)}') if as_json else form(FILE + parts + END)
    )
    started = time.process_time()
    problem = assert_problem(service.client.post("/upload", **body), 422, "too_long")
    assert time.process_time() - started < 0.3
    assert problem["measured"] == len(words)
    assert problem["limit"] == {"title": 200, "alt": 1000, "tags": 64}[field]


@pytest.mark.parametrize("way", ["form", "JSON", "ticket"])
def test_a_file_name_of_many_marks_is_cut_at_once(service: Service, way: str) -> None:
    started = time.process_time()
    if way == "form":  # a part's headers are bounded already
        body = form(part("file", JPEG, MARKS[13_500:16_500] + ".jpg") + END)
        answer = service.client.post("/upload", **body)
    elif way == "JSON":
        named = json.dumps(FEWER + ".jpg", ensure_ascii=False)
        answer = service.client.post("/upload", **picture(B64, f', "filename": {named}'))
    else:
        wanted = {"bytes": 100, "content_type": "image/jpeg", "filename": MARKS[12_600:17_590] + ".jpg"}
        answer = service.client.post("/upload/direct", json=wanted)
    assert answer.status_code == 201, answer.text
    assert time.process_time() - started < 0.3
    if way != "ticket":
        assert answer.json()["filename"].endswith(".jpg")


def test_very_many_tags_are_counted_and_not_read(service: Service) -> None:
    tags = ",".join(f"t{number}" for number in range(9000))
    problem = assert_problem(
        service.client.post("/upload", **form(FILE + part("tags", tags.encode()) + END)), 422, "too_long"
    )
    assert (problem["field"], problem["measured"], problem["limit"]) == ("tags", 9000, 20)


def test_words_are_measured_as_they_are_kept(service: Service) -> None:
    title = "\u1ec7" * 200
    apart = "e\u0323\u0302" * 200
    answer = service.client.post("/upload", **picture(B64, f', "title": "{apart}", "tags": "{apart[:192]}, ,sea"'))
    assert answer.status_code == 201, answer.text
    assert (answer.json()["title"], answer.json()["tags"]) == (title, [title[:64], "sea"])


def test_a_name_that_is_there_twice_is_found_at_once(service: Service) -> None:
    names = [chr(0x100 + number) for number in range(8000)]
    body = text("{" + ",".join(f'"{name}":1' for name in [*names, names[-1]]) + "}")
    started = time.process_time()
    problem = assert_problem(service.client.post("/upload", **body), 400, "duplicate_field")
    assert time.process_time() - started < 0.3
    assert ascii(names[-1]) in problem["detail"]
