"""S3 alone: refusals, lost answers, broken streams."""

import io
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from app.adapters.s3 import S3Store
from app.domain.errors import AlreadyExists, Missing, Unavailable
from app.domain.ids import new_id
from app.domain.keys import original_key, processed_prefix
from tests import aws
from tests.adapters.half_answers import half_answers
from tests.engines import ACCESS_KEY, REGION, SECRET_KEY
from tests.faults.wire import Fault, Wire, answer_lost, first, refused, unanswered

BODY = b"\xff\xd8\xff" + bytes(5000)
pytestmark = pytest.mark.usefixtures("hurried")


@pytest.fixture
def bucket() -> Iterator[str]:
    with aws.bucket(aws.moto().s3) as name:
        yield name


@pytest.fixture
def store(bucket: str) -> S3Store:
    return S3Store(aws.moto().s3, bucket)


@pytest.fixture
def wire() -> Wire:
    return Wire(aws.moto().s3)


def create(store: S3Store, key: str, body: bytes = BODY) -> None:
    store.create(key, io.BytesIO(body), size=len(body), content_type="image/jpeg")


def read(store: S3Store, key: str) -> bytes:
    with store.open(key) as stream:
        return stream.read()


def always(fault: Fault, *operations: str) -> Any:
    """The fault for every request of these operations."""
    return lambda name: fault if name in operations else None


BUSY = refused("SlowDown", 503)
DENIED = refused("AccessDenied", 403)
HEAD_403, HEAD_404 = refused("403", 403), refused("404", 404)


@pytest.mark.parametrize("fault", [BUSY, refused("InternalError", 500), unanswered, answer_lost])
def test_one_failure_is_tried_again_by_the_sdk(store: S3Store, wire: Wire, fault: Fault) -> None:
    key = original_key(new_id())
    for operation, call in {
        "PutObject": lambda: create(store, key),
        "HeadObject": lambda: store.stat(key),
        "GetObject": lambda: read(store, key),
        "ListObjectsV2": lambda: list(store.list("originals/")),
        "DeleteObject": lambda: store.delete(key),
    }.items():
        with wire.at(1, fault):
            call()
        assert wire.requests[:2] == [operation] * 2


@pytest.mark.parametrize("fault", [BUSY, unanswered])
def test_a_store_that_stays_away_is_unavailable_after_a_few_tries(store: S3Store, wire: Wire, fault: Fault) -> None:
    calls = {
        "PutObject": lambda: create(store, "originals/a"),
        "HeadObject": lambda: store.stat("originals/a"),
        "GetObject": lambda: read(store, "originals/a"),
        "ListObjectsV2": lambda: list(store.list("originals/")),
        "DeleteObject": lambda: store.delete("originals/a"),
    }
    for operation, call in calls.items():
        with wire.under(always(fault, operation)), pytest.raises(Unavailable) as raised:
            call()
        assert 2 <= wire.requests.count(operation) <= 4
        assert "injected" not in str(raised.value)
        assert "originals" not in str(raised.value)
    with wire.under(always(fault, "GetObject")), pytest.raises(Unavailable):
        store.ping()


def public(name: str = "a.webp") -> str:
    return f"{processed_prefix(new_id(), 'r', public=True)}{name}"


def test_public_objects_are_cached_for_a_day_and_others_forever(store: S3Store, bucket: str) -> None:
    """A public object may have to be forgotten, when its image is hidden or deleted."""
    private, shown, moved = f"{processed_prefix(new_id(), 'r')}a.webp", public(), public()

    def headers(key: str) -> tuple[str, str]:
        found = aws.moto().s3.head_object(Bucket=bucket, Key=key)
        return found["ContentType"], found["CacheControl"]

    forever, for_a_day = "public, max-age=31536000, immutable", "public, max-age=86400"
    for key in (private, shown):
        store.put(key, io.BytesIO(BODY), size=len(BODY), content_type="image/webp")
    assert headers(private) == ("image/webp", forever)
    assert headers(shown) == ("image/webp", for_a_day)
    store.copy(private, moved)
    assert headers(moved) == ("image/webp", for_a_day)
    store.copy(moved, private)
    assert headers(private) == ("image/webp", forever)


def test_a_copy_is_made_by_the_store(store: S3Store, wire: Wire) -> None:
    source, target = original_key(new_id()), public()
    create(store, source)
    for fault in (BUSY, unanswered, answer_lost):
        with wire.at(2, fault):
            store.copy(source, target)
        assert wire.requests == ["HeadObject", "CopyObject", "CopyObject"]
        assert read(store, target) == BODY


def test_a_source_that_may_not_be_listed_is_missing(store: S3Store, wire: Wire) -> None:
    """Without the right to list, S3 refuses a request for a missing object."""
    source, target = original_key(new_id()), public()

    def refusing(operation: str) -> Fault | None:
        return {"HeadObject": HEAD_403, "GetObject": DENIED}.get(operation)

    with wire.under(refusing), pytest.raises(Missing):
        store.copy(source, target)
    with pytest.raises(Missing):
        store.copy(source, target)
    assert store.find(target) is None


@pytest.mark.parametrize("fault", [refused("NoSuchKey", 404), DENIED])
def test_a_source_that_is_removed_while_it_is_copied_is_missing(store: S3Store, wire: Wire, fault: Fault) -> None:
    source, target = original_key(new_id()), public()
    create(store, source)

    def removed(_: Any) -> Any:
        store.delete(source)
        return fault(lambda: None)

    with wire.at(2, removed), pytest.raises(Missing):
        store.copy(source, target)


def test_a_copy_that_is_refused_is_unavailable(store: S3Store, wire: Wire) -> None:
    """The source is there, so the refusal is about the target."""
    source = original_key(new_id())
    create(store, source)
    for operation, fault in (("CopyObject", DENIED), ("CopyObject", BUSY), ("HeadObject", BUSY)):
        with wire.under(always(fault, operation)), pytest.raises(Unavailable):
            store.copy(source, public())
    with wire.under(always(HEAD_403, "HeadObject")):
        store.copy(source, public())  # a GET tells its type too


def test_a_write_whose_answer_was_lost_is_a_write(store: S3Store, wire: Wire) -> None:
    key = original_key(new_id())
    with wire.at(1, answer_lost):
        create(store, key)
    assert wire.requests == ["PutObject", "PutObject", "HeadObject"]
    assert read(store, key) == BODY
    with pytest.raises(AlreadyExists):
        create(store, key)


def test_a_write_whose_every_answer_was_lost_is_a_write(store: S3Store, wire: Wire) -> None:
    key = original_key(new_id())
    with wire.under(always(answer_lost, "PutObject")):
        create(store, key)
    assert read(store, key) == BODY


def test_anothers_write_that_came_first_is_not_taken_for_ours(store: S3Store, wire: Wire) -> None:
    key = original_key(new_id())
    with wire.at(1, first(lambda: create(store, key, b"theirs"))), pytest.raises(AlreadyExists):
        create(store, key)
    assert read(store, key) == b"theirs"
    with wire.under(always(answer_lost, "PutObject")), pytest.raises((AlreadyExists, Unavailable)):
        create(store, key)
    assert read(store, key) == b"theirs"


def test_a_write_in_conflict_with_another_is_tried_again(store: S3Store, wire: Wire) -> None:
    key = original_key(new_id())
    body = io.BytesIO(b"read already" + BODY)
    body.seek(12)
    conflict = refused("ConditionalRequestConflict", 409)
    with wire.under(lambda _: conflict if len(wire.requests) < 3 else None):
        store.create(key, body, size=len(BODY), content_type="image/jpeg")
    assert read(store, key) == BODY
    with wire.under(always(conflict, "PutObject")), pytest.raises(Unavailable):
        create(store, original_key(new_id()))
    assert 3 <= len(wire.requests) <= 6


@pytest.mark.parametrize("fault", [DENIED, refused("InvalidAccessKeyId", 403), refused("NoSuchBucket", 404)])
def test_a_write_that_may_not_be_is_no_write_and_none_that_exists(store: S3Store, wire: Wire, fault: Fault) -> None:
    for call in (create, lambda *_: store.put("originals/a", io.BytesIO(b"x"), size=1, content_type="image/png")):
        with wire.under(always(fault, "PutObject")), pytest.raises(Unavailable):
            call(store, "originals/a")
    with wire.under(always(fault, "DeleteObject", "ListObjectsV2", "DeleteObjects")):
        for refusal in (lambda: store.delete("originals/a"), lambda: store.delete_prefix("processed/a/")):
            with pytest.raises(Unavailable):
                refusal()
    assert store.stat("originals/a") is None


def test_without_the_right_to_list_only_existing_objects_are_found(store: S3Store, wire: Wire) -> None:
    with wire.under({"HeadObject": HEAD_403, "GetObject": DENIED}.get):
        assert store.stat("originals/none") is None
        with pytest.raises(Missing):
            read(store, "originals/none")
        store.ping()
    create(store, "originals/a")
    with wire.under(always(HEAD_403, "HeadObject")):  # it came between the two requests
        found = store.stat("originals/a")
    assert found is not None
    assert found == store.stat("originals/a")


def test_find_takes_no_refusal_for_absence(store: S3Store, wire: Wire) -> None:
    create(store, "originals/a")
    with wire.under(always(DENIED, "HeadObject", "GetObject", "ListObjectsV2")):
        for key in ("originals/a", "originals/none"):
            with pytest.raises(Unavailable):
                store.find(key)
    assert wire.requests == ["ListObjectsV2"] * 2


@pytest.mark.parametrize(
    "code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "RequestTimeTooSkewed"]
)
def test_keys_that_are_no_good_are_not_taken_for_absence(store: S3Store, wire: Wire, code: str) -> None:
    create(store, "originals/a")
    with wire.under({"HeadObject": HEAD_403, "GetObject": refused(code, 403)}.get):
        for call in (lambda: store.stat("originals/a"), lambda: read(store, "originals/a"), store.ping):
            with pytest.raises(Unavailable):
                call()


def test_a_bucket_that_is_not_there_is_not_reachable() -> None:
    store = S3Store(aws.moto().s3, "nobodys-bucket")
    for call in (store.ping, lambda: read(store, "originals/a"), lambda: list(store.list("originals/"))):
        with pytest.raises(Unavailable):
            call()


def some_kept(*keys: str, code: str = "SlowDown") -> Fault:
    """A batch delete of which these are refused."""

    def fault(send: Any) -> Any:
        (raw, parsed), error = send()
        parsed = {**parsed, "Errors": [{"Key": key, "Code": code, "Message": "injected"} for key in keys]}
        return (raw, parsed), error

    return fault


def test_objects_kept_by_a_batch_delete_are_deleted_by_the_next(store: S3Store, wire: Wire) -> None:
    prefix = processed_prefix(new_id())
    names = [f"{prefix}r/{number}.webp" for number in range(5)]
    for name in names:
        create(store, name)
    with wire.at(2, some_kept(names[1], names[3])):
        assert store.delete_prefix(prefix) == 5
    assert wire.requests == ["ListObjectsV2", "DeleteObjects", "DeleteObjects"]
    create(store, names[0])
    with wire.under(always(some_kept(names[0], code="AccessDenied"), "DeleteObjects")), pytest.raises(Unavailable):
        store.delete_prefix(prefix)


def store_at(url: str, *, patience: int = 60) -> S3Store:
    """A store there, with a client that waits for this many seconds and tries twice."""
    session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name=REGION)
    config = Config(
        connect_timeout=patience, read_timeout=patience, retries={"mode": "standard", "total_max_attempts": 2},
        s3={"addressing_style": "path"},
    )  # fmt: skip
    return S3Store(session.client("s3", endpoint_url=url, config=config), "pictures")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
DAMAGED = HEAD.replace(b"100000", b"5") + b"x-amz-checksum-crc32: AAAAAA==\r\n\r\nhello"


@pytest.mark.parametrize(
    ("answer", "silent"),
    [(HEAD + b"\r\n" + bytes(1000), False), (HEAD + b"\r\n" + bytes(1000), True), (DAMAGED, False)],
    ids=["cut off", "silent", "damaged"],
)
@pytest.mark.slow
def test_a_stream_that_breaks_is_unavailable_and_never_a_shorter_picture(answer: bytes, silent: bool) -> None:
    with half_answers(answer, silent=silent) as server:
        store = store_at(server.url, patience=1)
        with pytest.raises(Unavailable):
            read_slowly(store, "originals/a")


def read_slowly(store: S3Store, key: str) -> None:
    with store.open(key) as stream:
        while stream.read(300):
            pass


@pytest.mark.slow
def test_a_store_that_accepts_and_says_nothing_is_waited_for_and_given_up() -> None:
    with half_answers(b"", silent=True) as server:
        started = time.monotonic()
        with pytest.raises(Unavailable):
            store_at(server.url, patience=1).stat("originals/a")
        assert time.monotonic() - started > 1
        server.await_requests(2)


@pytest.mark.slow
def test_a_reader_that_stops_early_leaves_no_connection_open_and_costs_no_more_bytes() -> None:
    whole = HEAD.replace(b"100000", b"5") + b"Connection: close\r\n\r\nhello"
    some = HEAD.replace(b"100000", b"50000000") + b"\r\n" + bytes(500_000)
    with half_answers(some, whole, silent=True) as server:
        store = store_at(server.url)
        with store.open("originals/a") as stream:
            assert stream.read(10) == bytes(10)
        assert server.was_left()
        assert read(store, "originals/b") == b"hello"
        with pytest.raises(ZeroDivisionError), store.open("originals/b"):
            raise ZeroDivisionError
