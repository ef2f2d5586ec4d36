"""Promises of `ObjectStore`, for every adapter."""

import io
import itertools
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path

import pytest

from app.domain.errors import AlreadyExists, Missing, Unavailable
from app.domain.ids import new_id
from app.domain.keys import PUBLIC, image_prefixes, original_key, processed_prefix, variant_key
from app.domain.models import utcnow
from app.domain.ports import ObjectStore
from tests.contract.races import race, winners

WRITES = pytest.mark.parametrize("write", ["create", "put", "put for a while"])


def writer(store: ObjectStore, name: str) -> Callable[..., None]:
    calls: dict[str, Callable[..., None]] = {"create": store.create, "put": store.put}
    return calls.get(name) or partial(store.put, lasting=False)


def put(store: ObjectStore, key: str, data: bytes, *, by: str = "put", size: int | None = None) -> None:
    writer(store, by)(key, io.BytesIO(data), size=len(data) if size is None else size, content_type="image/jpeg")


def read(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as stream:
        return stream.read()


def keys(store: ObjectStore, prefix: str) -> list[str]:
    return sorted(info.key for info in store.list(prefix))


@WRITES
def test_an_object_is_read_back_byte_for_byte(store: ObjectStore, write: str) -> None:
    data = random.Random(1).randbytes(5_000_001)
    key = original_key(new_id())
    put(store, key, data, by=write)
    with store.open(key) as stream:
        pieces = list(iter(lambda: stream.read(70_001), b""))
    assert all(len(piece) == 70_001 for piece in pieces[:-1])
    assert b"".join(pieces) == data
    assert read(store, key) == data


@WRITES
def test_an_object_may_be_empty(store: ObjectStore, write: str) -> None:
    put(store, "originals/empty", b"", by=write)
    assert read(store, "originals/empty") == b""


@WRITES
def test_the_rest_of_the_body_is_stored(store: ObjectStore, write: str) -> None:
    body = io.BytesIO(b"read already, to be stored")
    body.seek(14)
    writer(store, write)("originals/rest", body, size=12, content_type="image/png")
    assert read(store, "originals/rest") == b"to be stored"


@WRITES
@pytest.mark.parametrize(
    "key",
    [
        "originals/0192f0c1-0000-7000-8000-0000000000ff",
        "processed/0192f0c1-0000-7000-8000-0000000000ff/ab12/w320.webp",
        "A-b_c.9/x..y/.z/-",
        "deep/" + "/".join("abcdefghij"),
    ],
)
def test_keys_are_segments_of_letters_digits_dot_underscore_and_hyphen(
    store: ObjectStore, write: str, key: str
) -> None:
    put(store, key, b"one", by=write)
    assert read(store, key) == b"one"
    assert keys(store, key.split("/", maxsplit=1)[0] + "/") == [key]


@pytest.mark.moto
def test_a_key_is_created_once(store: ObjectStore) -> None:
    key = original_key(new_id())
    put(store, key, b"first", by="create")
    with pytest.raises(AlreadyExists):
        put(store, key, b"second", by="create")
    assert read(store, key) == b"first"


def test_of_racing_creates_exactly_one_wins_and_its_bytes_are_whole(store: ObjectStore) -> None:
    key = original_key(new_id())
    results = race(lambda number: put(store, key, bytes([number]) * 300_000, by="create"))
    (winner,) = winners(results)
    assert all(isinstance(each, AlreadyExists) for number, each in enumerate(results) if number != winner)
    assert read(store, key) == bytes([winner]) * 300_000
    assert keys(store, "originals/") == [key]


def test_racing_creates_of_different_keys_all_win(store: ObjectStore) -> None:
    names = [original_key(new_id()) for _ in range(24)]
    assert len(winners(race(lambda number: put(store, names[number], b"x", by="create")))) == 24
    assert keys(store, "originals/") == sorted(names)


@WRITES
@pytest.mark.parametrize("length", [0, 999_999, 1_000_001, 3_500_000])
def test_a_body_of_another_length_leaves_nothing(store: ObjectStore, write: str, length: int) -> None:
    key = original_key(new_id())
    with pytest.raises(Unavailable):
        put(store, key, b"x" * length, by=write, size=1_000_000)
    assert store.stat(key) is None
    assert keys(store, "originals/") == []
    put(store, key, b"whole", by="create")
    assert read(store, key) == b"whole"


def test_a_put_of_another_length_leaves_what_was_there(store: ObjectStore) -> None:
    put(store, "processed/a/b/c.webp", b"old")
    with pytest.raises(Unavailable):
        put(store, "processed/a/b/c.webp", b"new", size=4)
    assert read(store, "processed/a/b/c.webp") == b"old"


@pytest.mark.moto
def test_put_takes_the_place_of_what_is_there(store: ObjectStore) -> None:
    put(store, "processed/a/b/c.webp", b"a longer text than the new one")
    put(store, "processed/a/b/c.webp", b"new")
    assert read(store, "processed/a/b/c.webp") == b"new"
    info = store.stat("processed/a/b/c.webp")
    assert info is not None
    assert info.size == 3


def test_while_a_put_is_under_way_readers_see_the_old_bytes_or_the_new(store: ObjectStore) -> None:
    key = variant_key(new_id(), "r", "thumb.webp")
    bodies = [b"a" * 400_000, b"b" * 300_000]
    put(store, key, bodies[0])
    done = threading.Event()

    def write() -> None:
        try:
            for number in range(1, 30):
                put(store, key, bodies[number % 2])
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while not done.is_set() or seen < 5:
        assert read(store, key) in bodies
        seen += 1
    writer.join()


def test_racing_puts_end_with_the_bytes_of_one_of_them(store: ObjectStore) -> None:
    key = variant_key(new_id(), "r", "thumb.webp")
    results = race(lambda number: put(store, key, bytes([number]) * 100_000), racers=8)
    assert len(winners(results)) == 8
    assert read(store, key) in [bytes([number]) * 100_000 for number in range(8)]


@pytest.mark.parametrize("key", ["originals/absent", "processed/a/b/c.webp", "originals/a/b", "originals"])
def test_a_missing_object_raises_on_entry(store: ObjectStore, key: str) -> None:
    put(store, "originals/a", b"a")
    put(store, "originals/b", b"b")
    stream = store.open(key)
    with pytest.raises(Missing), stream:
        pytest.fail("there was something")
    assert store.stat(key) is None


@pytest.mark.moto
def test_stat_tells_key_size_and_time(store: ObjectStore) -> None:
    key = original_key(new_id())
    put(store, key, b"12345", by="create")
    info = store.stat(key)
    assert info is not None
    assert (info.key, info.size) == (key, 5)
    assert info.modified_at.utcoffset() == UTC.utcoffset(None)
    assert abs(utcnow() - info.modified_at) < timedelta(minutes=1)


def test_find_tells_what_stat_does(store: ObjectStore) -> None:
    key = original_key(new_id())
    put(store, f"{key}-and-more", b"1")
    assert store.find(key) is None
    put(store, key, b"12345", by="create")
    found = store.find(key)
    assert found is not None
    assert (found.key, found.size) == (key, 5)
    assert found == store.stat(key)
    store.delete(key)
    assert store.find(key) is None


def test_delete_removes_one_object(store: ObjectStore) -> None:
    put(store, "originals/a", b"a")
    put(store, "originals/ab", b"ab")
    store.delete("originals/a")
    assert store.stat("originals/a") is None
    with pytest.raises(Missing), store.open("originals/a"):
        pytest.fail("it was still there")
    assert keys(store, "originals/") == ["originals/ab"]


def test_deleting_what_is_not_there_is_fine(store: ObjectStore) -> None:
    put(store, "processed/a/b/c.webp", b"c")
    for key in ("originals/a", "processed/a", "processed/a/b", "processed/a/b/d.webp", "processed/a/b/c.webp/e"):
        store.delete(key)
    assert keys(store, "processed/") == ["processed/a/b/c.webp"]


def test_a_deleted_key_can_be_created_again(store: ObjectStore) -> None:
    key = original_key(new_id())
    put(store, key, b"first", by="create")
    store.delete(key)
    put(store, key, b"second", by="create")
    assert read(store, key) == b"second"


@pytest.mark.moto
def test_delete_prefix_removes_what_starts_with_it_and_nothing_else(store: ObjectStore) -> None:
    one, other = new_id(), new_id()
    of_one = [variant_key(one, rendering, file) for rendering in ("r1", "r2") for file in ("a.webp", "b.webp")]
    of_other = [variant_key(other, "r1", "a.webp"), original_key(one), f"{processed_prefix(one)[:-1]}0/r1/a.webp"]
    for key in of_one + of_other:
        put(store, key, b"x")
    assert store.delete_prefix(processed_prefix(one, "r1")) == 2
    assert keys(store, processed_prefix(one)) == of_one[2:]
    assert store.delete_prefix(processed_prefix(one)) == 2
    assert store.delete_prefix(processed_prefix(one)) == 0
    assert keys(store, "processed/") == sorted([of_other[0], of_other[2]])
    assert keys(store, "originals/") == [of_other[1]]


@pytest.mark.moto
def test_a_copy_has_the_bytes_and_the_size(store: ObjectStore) -> None:
    data = random.Random(3).randbytes(3_000_001)
    image_id = new_id()
    source, target = variant_key(image_id, "r", "a.webp"), variant_key(image_id, "r", "a.webp", public=True)
    put(store, source, data)
    before = store.stat(source)
    store.copy(source, target)
    assert read(store, target) == read(store, source) == data
    info = store.stat(target)
    assert info is not None
    assert (info.key, info.size) == (target, len(data))
    assert abs(utcnow() - info.modified_at) < timedelta(minutes=1)
    assert store.stat(source) == before
    store.copy(target, source)
    assert read(store, source) == data


@pytest.mark.parametrize("data", [b"", b"x"], ids=["empty", "one byte"])
def test_a_copy_may_be_small(store: ObjectStore, data: bytes) -> None:
    put(store, "originals/a", data)
    store.copy("originals/a", "processed/a/r/a.webp")
    assert read(store, "processed/a/r/a.webp") == data


@pytest.mark.moto
def test_copies_are_independent(store: ObjectStore) -> None:
    names = ["processed/a/r/a.webp", "processed/public/a/r/a.webp", "processed/b/r/a.webp"]
    put(store, names[0], b"first")
    for name in names[1:]:
        store.copy(names[0], name)
    put(store, names[0], b"second")
    assert [read(store, name) for name in names] == [b"second", b"first", b"first"]
    put(store, names[2], b"third, which is longer")
    assert [read(store, name) for name in names[:2]] == [b"second", b"first"]
    store.delete(names[0])
    store.delete(names[2])
    assert read(store, names[1]) == b"first"
    assert keys(store, "processed/") == names[1:2]


def test_a_copy_takes_the_place_of_what_is_there(store: ObjectStore) -> None:
    put(store, "processed/a/r/a.webp", b"new")
    put(store, "processed/b/r/a.webp", b"a longer text than the new one")
    for _ in range(2):
        store.copy("processed/a/r/a.webp", "processed/b/r/a.webp")
        assert read(store, "processed/b/r/a.webp") == b"new"


@pytest.mark.moto
def test_a_missing_object_cannot_be_copied(store: ObjectStore) -> None:
    put(store, "processed/b/r/a.webp", b"kept")
    for source in ("processed/a/r/a.webp", "processed/b/r", "originals/absent"):
        for target in ("processed/b/r/a.webp", "processed/c/r/a.webp"):
            with pytest.raises(Missing):
                store.copy(source, target)
    assert read(store, "processed/b/r/a.webp") == b"kept"
    assert keys(store, "processed/") == ["processed/b/r/a.webp"]


def test_racing_copies_and_puts_end_with_the_bytes_of_one_of_them(store: ObjectStore) -> None:
    sources = [variant_key(new_id(), "r", "a.webp") for _ in range(4)]
    bodies = [bytes([number]) * 300_000 for number in range(8)]
    for number, source in enumerate(sources):
        put(store, source, bodies[number])
    target = variant_key(new_id(), "r", "a.webp", public=True)

    def write(number: int) -> None:
        if number < 4:
            store.copy(sources[number], target)
        else:
            put(store, target, bodies[number])

    assert len(winners(race(write, racers=8))) == 8
    assert read(store, target) in bodies
    assert [read(store, source) for source in sources] == bodies[:4]


def test_a_copy_of_what_is_replaced_or_removed_meanwhile_is_whole(store: ObjectStore) -> None:
    source = variant_key(new_id(), "r", "a.webp")
    bodies = [b"a" * 400_000, b"b" * 300_000]
    put(store, source, bodies[0])

    def replace_and_remove() -> None:
        try:
            for turn in range(12):
                put(store, source, bodies[turn % 2])
        finally:
            store.delete(source)

    def copy_until_it_is_gone() -> int:
        for copied in itertools.count():
            target = variant_key(new_id(), "r", "a.webp")
            try:
                store.copy(source, target)
            except Missing:
                assert store.stat(target) is None
                return copied
            assert read(store, target) in bodies
        raise AssertionError

    results = race(lambda number: replace_and_remove() if number == 0 else copy_until_it_is_gone(), racers=5)
    assert winners(results) == list(range(5))
    assert store.stat(source) is None


@pytest.mark.moto
def test_the_public_prefix_of_an_image_and_its_other_one_are_apart(store: ObjectStore) -> None:
    one, other = new_id(), new_id()
    private, public, sizes = image_prefixes(one)
    names = [f"{prefix}{rest}" for prefix in (private, public, sizes) for rest in ("r1/a.webp", "r2/a.webp")]
    others = [variant_key(other, "r1", "a.webp", public=public) for public in (False, True)]
    for name in names + others:
        put(store, name, name.encode())
    assert {read(store, name).decode() for name in names} == set(names)
    assert [keys(store, prefix) for prefix in (private, public, sizes)] == [names[:2], names[2:4], names[4:]]
    assert keys(store, PUBLIC) == sorted([*names[2:4], others[1]])
    assert keys(store, "processed/") == sorted(names[:4] + others)
    assert store.delete_prefix(processed_prefix(one, "r1", public=True)) == 1
    assert store.delete_prefix(private) == 2
    assert [keys(store, prefix) for prefix in (private, public, sizes)] == [[], names[3:4], names[4:]]
    assert store.delete_prefix(public) == 1
    assert keys(store, "processed/") == sorted(others)
    assert store.delete_prefix(PUBLIC) == 1
    assert keys(store, "processed/") == others[:1]
    assert store.delete_prefix(sizes) == 2
    assert keys(store, sizes) == []


@pytest.mark.moto
def test_list_tells_of_every_object_under_the_prefix(store: ObjectStore) -> None:
    one = new_id()
    put(store, original_key(one), b"12")
    put(store, variant_key(one, "r", "a.webp"), b"345")
    put(store, variant_key(one, "r", "b.webp"), b"6")
    infos = {info.key: info for info in store.list(processed_prefix(one))}
    assert {key: info.size for key, info in infos.items()} == {
        variant_key(one, "r", "a.webp"): 3,
        variant_key(one, "r", "b.webp"): 1,
    }
    assert all(info == store.stat(key) for key, info in infos.items())
    assert keys(store, processed_prefix(one, "r")) == sorted(infos)
    assert keys(store, processed_prefix(new_id())) == keys(store, "nothing/") == []


@pytest.mark.slow
def test_prefixes_of_more_than_a_thousand_objects_are_listed_and_deleted_whole(store: ObjectStore) -> None:
    prefix = processed_prefix(new_id())
    names = [f"{prefix}r/{number}.webp" for number in range(1_010)]
    todo = iter(names)
    guard = threading.Lock()

    def fill(_: int) -> None:
        while True:
            with guard:
                batch = list(itertools.islice(todo, 10))
            if not batch:
                return
            for name in batch:
                put(store, name, b"x")

    assert len(winners(race(fill, racers=4))) == 4
    assert keys(store, prefix) == sorted(names)
    assert store.delete_prefix(prefix) == 1_010
    assert keys(store, prefix) == []


def test_objects_can_be_removed_while_they_are_listed(store: ObjectStore) -> None:
    names = {original_key(new_id()) for _ in range(60)}
    for name in names:
        put(store, name, b"x")
    seen = []
    for info in store.list("originals/"):
        seen.append(info.key)
        store.delete(info.key)
    assert sorted(seen) == sorted(names)
    assert keys(store, "originals/") == []


def test_writers_and_deleters_of_neighbors_do_not_disturb_each_other(store: ObjectStore) -> None:
    prefix = processed_prefix(new_id())

    def work(number: int) -> None:
        for turn in range(15):
            key = f"{prefix}r/{number}-{turn}.webp"
            put(store, key, b"mine", by="create")
            assert read(store, key) == b"mine"
            store.delete(key)
            store.delete_prefix(f"{prefix}other/")

    assert winners(race(work, racers=8)) == list(range(8))
    assert keys(store, "processed/") == []


def test_ping_answers(store: ObjectStore) -> None:
    store.ping()


def test_temporary_space_takes_bytes_and_gives_them_to_the_store(store: ObjectStore) -> None:
    data = random.Random(2).randbytes(3_000_001)
    key = original_key(new_id())
    with store.spool() as one, store.spool() as other:
        for start in range(0, len(data), 70_001):
            one.write(data[start : start + 70_001])
        other.write(b"other")
        for body, expected in ((one, data), (other, b"other")):
            body.seek(0)
            assert body.read() == expected
            body.seek(0)
        store.create(key, one, size=len(data), content_type="image/jpeg")
    assert read(store, key) == data
    assert keys(store, "originals/") == [key]


def test_a_spool_can_be_stored_under_several_keys_which_are_independent(store: ObjectStore) -> None:
    first, second = original_key(new_id()), original_key(new_id())
    with store.spool() as body:
        body.write(b"bytes")
        for key in (first, second):
            body.seek(0)
            store.create(key, body, size=5, content_type="image/jpeg")
        body.seek(0)
        with pytest.raises(AlreadyExists):
            store.create(second, body, size=5, content_type="image/jpeg")
    store.put(first, io.BytesIO(b"other"), size=5, content_type="image/jpeg")
    assert (read(store, first), read(store, second)) == (b"other", b"bytes")
    store.delete(first)
    assert read(store, second) == b"bytes"


def test_the_rest_of_a_spool_is_stored_and_another_length_leaves_nothing(store: ObjectStore) -> None:
    key = original_key(new_id())
    with store.spool() as body:
        body.write(b"read already, to be stored")
        for position, size in ((0, 25), (0, 27), (14, 26)):
            body.seek(position)
            with pytest.raises(Unavailable):
                store.create(key, body, size=size, content_type="image/jpeg")
        assert keys(store, "originals/") == []
        body.seek(14)
        store.create(key, body, size=12, content_type="image/jpeg")
    assert read(store, key) == b"to be stored"


def test_of_racing_creates_from_spools_exactly_one_wins(store: ObjectStore) -> None:
    key = original_key(new_id())

    def create(number: int) -> None:
        with store.spool() as body:
            body.write(bytes([number]) * 300_000)
            body.seek(0)
            store.create(key, body, size=300_000, content_type="image/jpeg")

    results = race(create)
    (winner,) = winners(results)
    assert all(isinstance(each, AlreadyExists) for number, each in enumerate(results) if number != winner)
    assert read(store, key) == bytes([winner]) * 300_000


def test_temporary_space_is_read_in_any_pieces(store: ObjectStore) -> None:
    with store.spool() as body:
        assert body.read() == b""
        body.write(b"0123456789")
        body.seek(2)
        assert (body.read(3), body.read(100), body.read(1)) == (b"234", b"56789", b"")


def test_there_is_space_for_a_little(store: ObjectStore) -> None:
    store.check_space(0)
    store.check_space(1_000_000)


def test_a_shared_object_has_its_bytes_and_outlives_the_file(store: ObjectStore, tmp_path: Path) -> None:
    key = original_key(new_id())
    put(store, key, b"bytes")
    path = tmp_path / "shared"
    assert store.share(key, path) == path.exists()
    if path.exists():
        assert path.read_bytes() == b"bytes"
        path.unlink()
    assert read(store, key) == b"bytes"


def test_a_shared_file_outlives_the_object(store: ObjectStore, tmp_path: Path) -> None:
    key = original_key(new_id())
    put(store, key, b"bytes")
    path = tmp_path / "shared"
    is_shared = store.share(key, path)
    store.delete(key)
    assert store.stat(key) is None
    assert path.exists() == is_shared
    assert not is_shared or path.read_bytes() == b"bytes"


def test_a_missing_object_is_not_shared(store: ObjectStore, tmp_path: Path) -> None:
    with suppress(Missing):
        assert not store.share(original_key(new_id()), tmp_path / "shared")
    assert not list(tmp_path.glob("shared"))
