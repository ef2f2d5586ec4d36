"""Promises of `KeyStore`, for every adapter."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from app.domain.access.api_keys import Scope, hash_key
from app.domain.access.key_admin import KeyAdmin
from app.domain.access.own_limits import OwnLimits
from app.domain.access.stored_keys import KeySecret, StoredKey, new_key_id
from app.domain.errors import AlreadyExists, DarkroomError, Missing, Stale
from app.domain.models import utcnow
from app.domain.ports.key_store import KeyStore
from tests.contract.races import RACERS, race

pytestmark = pytest.mark.moto

DAY = date(2026, 11, 28)


def a_key(**fields: Any) -> StoredKey:
    usual = {
        "id": new_key_id(), "name": "web shop · Ä", "owner": "ann", "scopes": (Scope.UPLOAD, Scope.READ),
        "secrets": (
            KeySecret(sha256="ab" * 32),
            KeySecret(sha256="cd" * 32, ends_at=datetime(2026, 11, 29, tzinfo=UTC)),
        ),
        "created_at": datetime(2026, 11, 28, 1, 2, 3, 456789, tzinfo=UTC),
        "expires_at": datetime(2027, 11, 28, tzinfo=UTC),
    }  # fmt: skip
    return StoredKey.model_validate(usual | fields)


def changed(key: StoredKey, **fields: Any) -> StoredKey:
    return key.model_copy(update={"version": key.version + 1, **fields})


def stored(store: KeyStore, **fields: Any) -> StoredKey:
    key = a_key(**fields)
    store.create(key)
    return key


def test_an_entry_is_read_as_it_was_written(key_store: KeyStore) -> None:
    limits = {"rate_limit": 0.5, "quota_bytes": 10**12, "quota_images": 0}
    for key in (
        stored(key_store),
        stored(key_store, expires_at=None, scopes=(Scope.ADMIN,)),
        stored(key_store, **limits),
    ):
        assert key_store.get(key.id) == key
    assert key_store.get(new_key_id()) is None


def test_an_entry_of_a_version_without_limits_is_read(key_store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"rate_limit", "quota_bytes", "quota_images"}
    dump = StoredKey.model_dump_json
    with monkeypatch.context() as older:
        older.setattr(StoredKey, "model_dump_json", lambda key, exclude: dump(key, exclude={*exclude, *own}))
        key = stored(key_store)
    found = key_store.get(key.id)
    assert found == key
    assert found.own_limits == OwnLimits()
    key_store.replace(changed(key, rate_limit=5.0))
    assert key_store.get(key.id) == changed(key, rate_limit=5.0)


def test_an_id_is_given_once(key_store: KeyStore) -> None:
    key = stored(key_store)
    with pytest.raises(AlreadyExists):
        key_store.create(a_key(id=key.id, owner="bob"))
    assert key_store.get(key.id) == key


def test_lists_have_pages_and_the_newest_first(key_store: KeyStore) -> None:
    assert key_store.list(10) == []
    keys = [stored(key_store, id=f"{number:020x}", name=str(number)) for number in range(1, 8)][::-1]
    assert key_store.list(10) == keys
    found: list[StoredKey] = []
    after = None
    while page := key_store.list(3, after):
        assert len(page) <= 3
        found += page
        after = page[-1].id
    assert found == keys
    key_store.delete(keys[2].id)  # a page can begin after an entry that is gone
    assert key_store.list(3, keys[2].id) == keys[3:6]


def test_a_change_replaces_the_version_that_it_was_made_from(key_store: KeyStore) -> None:
    key = stored(key_store)
    first, second = changed(key, name="first"), changed(key, name="second")
    key_store.replace(first)
    with pytest.raises(Stale):
        key_store.replace(second)
    assert key_store.get(key.id) == first
    with pytest.raises(Missing):
        key_store.replace(changed(a_key()))


def test_of_several_changes_at_once_one_is_made(key_store: KeyStore) -> None:
    key = stored(key_store)
    versions = [changed(key, name=str(number)) for number in range(RACERS)]

    def replace(number: int) -> bool:
        try:
            key_store.replace(versions[number])
        except Stale:
            return False
        return True

    made = [number for number, done in enumerate(race(replace)) if done]
    assert len(made) == 1
    assert key_store.get(key.id) == versions[made[0]]


def test_the_day_of_use_is_no_change(key_store: KeyStore) -> None:
    key = stored(key_store)
    for day in (DAY, DAY, DAY - timedelta(days=400)):  # also after the clock was set back
        key_store.touch(key.id, day)
        assert key_store.get(key.id) == key.model_copy(update={"last_used": day})
    renamed = changed(key, name="other", last_used=None)
    key_store.replace(renamed)
    assert [found.last_used for found in key_store.list(10)] == [DAY - timedelta(days=400)]


def test_an_entry_is_removed_once_and_stays_so(key_store: KeyStore) -> None:
    key = stored(key_store)
    assert [key_store.delete(key.id), key_store.delete(key.id), key_store.delete(new_key_id())] == [True, False, False]
    key_store.touch(key.id, DAY)
    with pytest.raises(Missing):
        key_store.replace(changed(key))
    assert (key_store.get(key.id), key_store.list(10)) == (None, [])


def test_of_several_removals_at_once_one_finds_the_entry(key_store: KeyStore) -> None:
    key = stored(key_store)
    assert race(lambda _: key_store.delete(key.id)).count(True) == 1
    assert key_store.get(key.id) is None


def test_each_of_several_rotations_at_once_gives_a_valid_secret(key_store: KeyStore) -> None:
    key = stored(key_store, expires_at=None, secrets=(KeySecret(sha256="ab" * 32),))
    admin = KeyAdmin(key_store)
    made = [rotated[0] for rotated in race(lambda _: admin.rotate(key.id), 3) if not isinstance(rotated, DarkroomError)]
    assert len(made) == 3  # each is repeated when another one was faster
    found = key_store.get(key.id)
    assert found is not None
    assert all(found.accepts(hash_key(each), utcnow()) for each in made)
    assert (len(found.secrets), found.version) == (4, 4)


def test_a_removal_wins_against_changes_at_the_same_time(key_store: KeyStore) -> None:
    key = stored(key_store)

    def act(number: int) -> None:
        try:
            (key_store.delete(key.id) if number == 0 else key_store.touch(key.id, DAY + timedelta(days=number)))
            key_store.replace(changed(key))
        except DarkroomError:
            return

    race(act)
    assert key_store.get(key.id) is None
