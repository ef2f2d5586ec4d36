"""Promises of `IdempotencyKeys`, for every adapter."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.ids import new_id
from app.domain.models import utcnow
from app.domain.uploads.idempotency import KEY_LIFE, LEASE, IdempotencyKeys, KeyEntry, Operation
from tests.contract.races import RACERS, race
from tests.contract.records import OWNER

pytestmark = pytest.mark.moto


def an_entry(**fields: Any) -> KeyEntry:
    now = utcnow()
    usual = {
        "owner": OWNER, "key": "k", "operation": Operation.UPLOAD, "fingerprint": "f" * 64, "image_id": new_id(),
        "attempt": new_id(), "leased_until": now + LEASE, "expires_at": now + KEY_LIFE,
    }  # fmt: skip
    return KeyEntry.model_validate(usual | fields)


def found(keys: IdempotencyKeys, **fields: Any) -> KeyEntry | None:
    """The entry of a key; a new one is written if there is none."""
    return keys.create(an_entry(**fields))


def test_a_key_is_written_once_and_then_found(idempotency_keys: IdempotencyKeys) -> None:
    entry = an_entry()
    assert idempotency_keys.create(entry) is None
    assert found(idempotency_keys) == entry
    for fields in ({"key": "other"}, {"owner": "bob"}, {"key": "K"}):
        assert found(idempotency_keys, **fields) is None
    assert found(idempotency_keys) == entry


def test_keys_of_all_visible_characters_are_different_keys(idempotency_keys: IdempotencyKeys) -> None:
    keys = ["#", "a#b", "a", "100%", "100%25", "a/b,c", '"', "\\", "~" * 255, "~" * 254]
    entries = [an_entry(key=key, owner="o" * 128) for key in keys]
    assert [idempotency_keys.create(entry) for entry in entries] == [None] * len(keys)
    assert [found(idempotency_keys, key=key, owner="o" * 128) for key in keys] == entries


def test_an_entry_is_replaced_and_removed_by_its_attempt_only(idempotency_keys: IdempotencyKeys) -> None:
    first = an_entry()
    idempotency_keys.create(first)
    second = first.model_copy(update={"attempt": new_id(), "leased_until": utcnow() + 2 * LEASE})
    stranger = an_entry()
    assert not idempotency_keys.replace(stranger, stranger)
    assert idempotency_keys.replace(first, second)
    assert not idempotency_keys.replace(first, first.model_copy(update={"finished": True}))
    idempotency_keys.remove(first)
    finished = second.model_copy(update={"finished": True, "duplicate": True, "image_id": new_id()})
    assert idempotency_keys.replace(second, finished)
    assert found(idempotency_keys) == finished
    idempotency_keys.remove(second)
    assert not idempotency_keys.replace(second, second)
    idempotency_keys.remove(second)
    assert found(idempotency_keys) is None


@pytest.mark.parametrize("ends", [-timedelta(seconds=1), KEY_LIFE + timedelta(hours=1)])
def test_an_expired_entry_counts_as_absent(idempotency_keys: IdempotencyKeys, ends: timedelta) -> None:
    """Also one that was written before the clock was set back."""
    idempotency_keys.create(an_entry(expires_at=utcnow() + ends))
    entry = an_entry()
    assert idempotency_keys.create(entry) is None
    assert found(idempotency_keys) == entry


def test_of_concurrent_requests_with_one_key_one_writes_it(idempotency_keys: IdempotencyKeys) -> None:
    entries = [an_entry() for _ in range(RACERS)]
    results = race(lambda number: idempotency_keys.create(entries[number]))
    (winner,) = [entry for entry, result in zip(entries, results, strict=True) if result is None]
    assert {result.attempt for result in results if isinstance(result, KeyEntry)} == {winner.attempt}


def test_of_concurrent_retries_one_takes_over(idempotency_keys: IdempotencyKeys) -> None:
    entry = an_entry()
    idempotency_keys.create(entry)
    retries = [entry.model_copy(update={"attempt": new_id()}) for _ in range(RACERS)]
    results = race(lambda number: idempotency_keys.replace(entry, retries[number]))
    (winner,) = [retry for retry, result in zip(retries, results, strict=True) if result is True]
    assert found(idempotency_keys) == winner
