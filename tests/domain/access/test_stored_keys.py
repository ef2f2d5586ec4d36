"""Keys in the store are valid within their time, and the cache is bounded in time and size."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.access.api_keys import Scope, new_key
from app.domain.access.key_admin import KeyAdmin
from app.domain.access.key_cache import CACHE_SECONDS, MAX_UNKNOWN, RECHECK_SECONDS, StoredKeys
from app.domain.access.keyring import Keyring
from app.domain.access.stored_keys import (
    GRACE,
    MAX_GRACE,
    MAX_SECRETS,
    StoredKey,
    is_key_id,
    new_key_id,
    new_secret,
    read_key_id,
)
from app.domain.errors import Conflict, NotFound, Unauthorized, Unavailable

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


class MemoryStore:
    """Entries in memory, which counts reads and writes of days."""

    def __init__(self) -> None:
        self.entries: dict[str, StoredKey] = {}
        self.calls: Counter[str] = Counter()
        self.fails = False

    def create(self, key: StoredKey) -> None:
        self.entries[key.id] = key

    def get(self, key_id: str) -> StoredKey | None:
        self.calls["get"] += 1
        if self.fails:
            raise Unavailable("down")
        return self.entries.get(key_id)

    def list(self, limit: int, after: str | None = None) -> Sequence[StoredKey]:
        raise NotImplementedError

    def replace(self, key: StoredKey) -> None:
        self.entries[key.id] = key

    def touch(self, key_id: str, day: date) -> None:
        self.calls["touch"] += 1
        if self.fails:
            raise Unavailable("full")
        if key_id in self.entries:
            self.entries[key_id] = self.entries[key_id].model_copy(update={"last_used": day})

    def delete(self, key_id: str) -> bool:
        return self.entries.pop(key_id, None) is not None


class Scene:
    """A store, an operator at another process, and the keys of a server."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.now = NOW
        self.store = MemoryStore()
        self.admin = KeyAdmin(self.store)
        self.keys = StoredKeys(self.store, clock=lambda: self.seconds, now=lambda: self.now)

    def create(self) -> tuple[str, StoredKey]:
        return self.admin.create(name="n", owner="ann", scopes=["read"])

    def is_valid(self, key: str) -> bool:
        return self.keys.find(key) is not None


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene()
    monkeypatch.setattr("app.domain.access.key_admin.utcnow", lambda: made.now)
    return made


def test_a_key_shows_its_id_and_the_entry_does_not_show_the_key(scene: Scene) -> None:
    key, entry = scene.create()
    assert key.startswith(f"dk_{entry.id}_")
    assert is_key_id(entry.id)
    assert (read_key_id(key), len(key)) == (entry.id, 67)
    assert key.rpartition("_")[2][-8:] not in entry.model_dump_json()
    assert scene.keys.find(key) == entry.model_copy(update={"last_used": None})
    caller = Keyring([], scene.keys).caller(key)
    assert (caller.owner, caller.scopes, caller.key_id) == ("ann", {Scope.READ}, entry.id)


def test_other_texts_are_not_looked_up(scene: Scene) -> None:
    key, entry = scene.create()
    wrong = ("", "dk_", entry.id, key[:-1], key + "x", key.upper(), f" {key}", key.replace("_", "-"), "é")
    for text in (*wrong, "\ud800" * 67, new_key("ann", [Scope.READ])[0], "x" * 100_000):
        assert scene.keys.is_known(text)
        assert not scene.is_valid(text)
    assert scene.store.calls == {}


def test_known_and_unknown_keys_are_read_once_in_the_time_of_the_cache(scene: Scene) -> None:
    key, _ = scene.create()
    unknown = new_secret(new_key_id())[0]
    for _ in range(100):
        assert (scene.is_valid(key), scene.is_valid(unknown)) == (True, False)
    assert scene.store.calls["get"] == 2
    assert scene.keys.is_known(key)
    scene.seconds += CACHE_SECONDS
    assert not scene.keys.is_known(key)
    scene.is_valid(key)
    assert scene.store.calls["get"] == 3


def test_a_revoked_key_ends_with_the_cache(scene: Scene) -> None:
    key, entry = scene.create()
    assert scene.is_valid(key)
    assert [scene.admin.revoke(entry.id), scene.admin.revoke(entry.id)] == [True, False]
    scene.seconds += CACHE_SECONDS
    assert CACHE_SECONDS <= 30
    assert not scene.is_valid(key)


def test_a_revoked_key_ends_although_the_process_was_frozen(scene: Scene) -> None:
    key, entry = scene.create()
    assert scene.is_valid(key)
    scene.admin.revoke(entry.id)
    scene.now += timedelta(seconds=CACHE_SECONDS)  # the monotonic clock stood still
    assert not scene.is_valid(key)


def test_a_clock_that_was_set_back_keeps_no_key(scene: Scene) -> None:
    scene.now += timedelta(days=30)
    key, entry = scene.create()
    assert scene.is_valid(key)
    scene.now = NOW
    assert scene.is_valid(key)
    scene.admin.revoke(entry.id)
    scene.now += timedelta(seconds=CACHE_SECONDS)
    assert not scene.is_valid(key)


def test_an_entry_read_during_a_change_is_not_remembered(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    key, entry = scene.create()
    own = KeyAdmin(scene.store, scene.keys)
    read = scene.store.get

    def read_then_revoke(key_id: str) -> StoredKey | None:
        found = read(key_id)
        own.revoke(key_id)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(scene.store, "get", read_then_revoke)
        assert scene.is_valid(key)  # the request was there before the change
    assert entry.id not in scene.store.entries
    assert not scene.is_valid(key)


def test_a_change_of_the_same_process_is_seen_at_once(scene: Scene) -> None:
    key, entry = scene.create()
    own = KeyAdmin(scene.store, scene.keys)
    assert scene.is_valid(key)
    rotated, _ = own.rotate(entry.id, timedelta(0))
    assert (scene.is_valid(key), scene.is_valid(rotated)) == (False, True)
    own.revoke(entry.id)
    assert not scene.is_valid(rotated)


def test_a_key_that_another_process_has_rotated_is_valid_soon(scene: Scene) -> None:
    key, entry = scene.create()
    assert scene.is_valid(key)
    rotated, _ = scene.admin.rotate(entry.id)
    scene.seconds += RECHECK_SECONDS
    assert scene.is_valid(rotated)
    assert scene.is_valid(key)
    reads = scene.store.calls["get"]
    for _ in range(100):  # guesses cost one read in a while, and leave the right key alone
        assert not scene.is_valid(new_secret(entry.id)[0])
        assert scene.is_valid(key)
    assert scene.store.calls["get"] == reads


def test_unknown_keys_do_not_push_out_known_ones(scene: Scene) -> None:
    key, _ = scene.create()
    assert scene.is_valid(key)
    for _ in range(MAX_UNKNOWN + 1):
        scene.is_valid(new_secret(new_key_id())[0])
    reads = scene.store.calls["get"]
    assert scene.is_valid(key)
    assert scene.store.calls["get"] == reads
    assert len(scene.keys._unknown) == MAX_UNKNOWN


def test_a_store_that_is_down_refuses_no_key_as_unknown(scene: Scene) -> None:
    key, _ = scene.create()
    scene.store.fails = True
    with pytest.raises(Unavailable):
        Keyring([], scene.keys).caller(key)
    scene.store.fails = False
    assert scene.is_valid(key)


def test_the_day_of_use_is_written_once_a_day(scene: Scene) -> None:
    key, entry = scene.create()
    for _ in range(10):
        scene.is_valid(key)
        scene.seconds += CACHE_SECONDS
    assert scene.store.calls["touch"] == 1
    assert scene.store.entries[entry.id].last_used == NOW.date()
    scene.now += timedelta(days=1)
    scene.is_valid(key)
    assert scene.store.entries[entry.id].last_used == NOW.date() + timedelta(days=1)
    assert scene.is_valid(key)


def test_the_day_of_use_is_written_while_others_present_an_old_secret(scene: Scene) -> None:
    old, entry = scene.create()
    key, _ = scene.admin.rotate(entry.id, timedelta(0))
    assert not scene.is_valid(old)  # its look-up is remembered
    assert not scene.keys.is_known(key)
    assert scene.is_valid(key)
    assert scene.keys.is_known(key)
    assert scene.store.entries[entry.id].last_used == NOW.date()


def test_a_refused_request_is_no_use(scene: Scene) -> None:
    key, entry = scene.admin.create(name="n", owner="ann", scopes=["read"], expires_at=NOW + timedelta(days=1))
    scene.now += timedelta(days=1)
    assert scene.is_valid(key)  # the caller of `find` refuses it, and names the reason
    assert scene.keys.is_known(key)
    assert (scene.store.calls["touch"], scene.store.entries[entry.id].last_used) == (0, None)


def test_a_day_of_use_that_cannot_be_written_does_not_refuse_the_key(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key, _ = scene.create()

    def refuse(key_id: str, day: date) -> None:
        raise Unavailable("full")

    monkeypatch.setattr(scene.store, "touch", refuse)
    assert scene.is_valid(key)
    assert "the day of use of an API key was not stored" in caplog.text
    assert key not in caplog.text


def test_an_expired_key_is_named_as_that_only_to_who_has_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    key, entry = scene.admin.create(name="n", owner="ann", scopes=["read"], expires_at=NOW + timedelta(days=1))
    keyring = Keyring([], scene.keys)
    times = iter([NOW, NOW + timedelta(days=1), NOW + timedelta(days=1), NOW])
    monkeypatch.setattr("app.domain.access.keyring.utcnow", lambda: next(times))
    assert keyring.caller(key).owner == "ann"
    for presented, code in ((key, "key_expired"), (new_secret(entry.id)[0], "key_unknown")):
        with pytest.raises(Unauthorized) as refused:
            keyring.caller(presented)
        assert refused.value.code == code


def test_an_old_key_lives_on_for_its_time(scene: Scene) -> None:
    old, entry = scene.create()
    new, rotated = scene.admin.rotate(entry.id)
    assert rotated.id == entry.id
    scene.keys.forget(entry.id)
    assert scene.is_valid(old)
    scene.now += GRACE - timedelta(seconds=1)
    assert (scene.is_valid(old), scene.is_valid(new)) == (True, True)
    scene.now += timedelta(seconds=1)
    assert (scene.is_valid(old), scene.is_valid(new)) == (False, True)


def test_a_clock_that_was_wrong_does_not_prolong_an_old_key(scene: Scene) -> None:
    old, entry = scene.create()
    scene.now += timedelta(days=3000)
    new, _ = scene.admin.rotate(entry.id, MAX_GRACE)
    scene.now = NOW
    assert (scene.is_valid(old), scene.is_valid(new)) == (False, True)


def test_rotations_while_keys_are_in_use(scene: Scene) -> None:
    first, entry = scene.create()
    keys = [first, *(scene.admin.rotate(entry.id)[0] for _ in range(MAX_SECRETS - 1))]
    assert all(map(scene.is_valid, keys))
    with pytest.raises(Conflict) as refused:
        scene.admin.rotate(entry.id)
    assert (refused.value.code, refused.value.extra) == ("too_many_secrets", {"measured": 5, "limit": 5})
    last, _ = scene.admin.rotate(entry.id, timedelta(0))
    scene.keys.forget(entry.id)
    assert [scene.is_valid(key) for key in (*keys, last)] == [False] * MAX_SECRETS + [True]
    scene.admin.rotate(entry.id, timedelta(hours=1))
    scene.now += timedelta(hours=1)
    assert len(scene.admin.rotate(entry.id)[1].secrets) == 2  # those that have ended are gone


def test_an_expired_key_is_not_rotated(scene: Scene) -> None:
    _, entry = scene.admin.create(name="n", owner="ann", scopes=["read"], expires_at=NOW + timedelta(days=1))
    scene.admin.rotate(entry.id)
    scene.now += timedelta(days=1)
    with pytest.raises(Conflict) as refused:
        scene.admin.rotate(entry.id)
    assert (refused.value.code, refused.value.extra) == ("expired_key", {"expired_at": entry.expires_at})


@pytest.mark.parametrize("key_id", ["", "x", "0" * 20, "../../etc", "é" * 20, "\ud800"])
def test_unknown_keys_are_not_rotated(scene: Scene, key_id: str) -> None:
    with pytest.raises(NotFound):
        scene.admin.rotate(key_id)
    if is_key_id(key_id):
        assert scene.admin.revoke(key_id) is False
    else:  # somebody who gives a whole key must not believe that it is revoked
        with pytest.raises(NotFound):
            scene.admin.revoke(key_id)
