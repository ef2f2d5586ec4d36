"""Ids sort by time, carry their date and differ from any other text."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.domain.ids import first_id_at, id_time, is_id, new_id


def test_ids_are_uuid7_in_canonical_form() -> None:
    made = new_id()
    assert UUID(made).version == 7
    assert UUID(made).variant == "specified in RFC 4122"
    assert str(UUID(made)) == made
    assert is_id(made)


def test_ids_of_one_process_only_ever_grow() -> None:
    ids = [new_id() for _ in range(20_000)]
    assert ids == sorted(set(ids))


def test_an_id_carries_its_date() -> None:
    before = datetime.now(UTC)
    assert abs(id_time(new_id()) - before) < timedelta(minutes=1)


def test_a_moments_first_id_parts_earlier_from_later_ids() -> None:
    earlier = new_id()
    assert first_id_at(id_time(earlier)) <= earlier < first_id_at(id_time(earlier) + timedelta(milliseconds=1))
    assert is_id(first_id_at(datetime(2020, 1, 1, tzinfo=UTC)))
    for number in range(2000):
        moment = datetime(2038, 3, 1, tzinfo=UTC) + timedelta(milliseconds=1001 * number)
        assert id_time(first_id_at(moment)) == moment


#: Written out, so that every test process calls the tests by the same names.
AN_ID = "01a202eb-d73f-712a-807e-717519eefea2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "0" * 36,
        AN_ID.upper(),
        AN_ID + "\n",
        "{" + AN_ID + "}",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        AN_ID.replace("-", ""),
        "é" * 36,
    ],
)
def test_anything_else_is_no_id(text: str) -> None:
    assert is_id(AN_ID)
    assert not is_id(text)


def test_a_clock_that_is_set_back_a_little_does_not_disturb_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    first = new_id()
    back = time.time_ns() - 60 * 10**9
    monkeypatch.setattr("app.domain.ids.time.time_ns", lambda: back)
    assert first < new_id() < new_id()


def test_ids_follow_a_clock_that_is_corrected_by_a_year(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    with monkeypatch.context() as patched:
        patched.setattr("app.domain.ids.time.time_ns", lambda: now + 365 * 86_400 * 10**9)
        assert id_time(new_id()) - datetime.now(UTC) > timedelta(days=364)
    assert abs(id_time(new_id()) - datetime.now(UTC)) < timedelta(seconds=30)
