"""Idempotency keys in each database: what a port does not show."""

import sqlite3
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from app.adapters.sqlite import Database, SqliteIdempotencyKeys
from app.domain.errors import Full, Unavailable
from app.domain.ids import new_id
from app.domain.models import utcnow
from app.domain.uploads.idempotency import KEY_LIFE
from tests import aws
from tests.contract.test_idempotency_keys import an_entry


def test_sqlite_keeps_the_keys_of_a_day(tmp_path: Path) -> None:
    file = tmp_path / "darkroom.db"
    keys = SqliteIdempotencyKeys(Database(file))
    for number in range(120):
        keys.create(an_entry(key=f"old {number}"))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE idempotency_keys SET expires_at = ?", (time.time() - 1,))
        connection.execute(
            "UPDATE idempotency_keys SET expires_at = ? WHERE key = 'old 7'", (time.time() + 10 * 24 * 3600,)
        )
    left = []
    for number in range(4):
        keys.create(an_entry(key=f"new {number}"))
        with sqlite3.connect(file) as connection:
            left.append(connection.execute("SELECT count(*) FROM idempotency_keys").fetchone()[0])
    connection.close()
    assert left == [21, 2, 3, 4]


def test_a_full_disk_refuses_new_keys_and_answers_known_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(tmp_path / "darkroom.db")
    keys = SqliteIdempotencyKeys(database)
    entry = an_entry()
    keys.create(entry)

    def full() -> None:
        raise Full("The disk is full.")

    monkeypatch.setattr(database, "check_space", full)
    with pytest.raises(Full):
        keys.create(an_entry(key="other"))
    assert keys.create(an_entry()) == entry
    assert keys.replace(entry, entry.model_copy(update={"finished": True}))
    keys.remove(entry)


class Repeating:
    """A client whose every write is sent twice, as by the SDK after it has lost a response."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def twice(**arguments: Any) -> Any:
            method(**arguments)
            return method(**arguments)

        twice.__name__ = name
        return twice


def test_a_lost_response_of_dynamodb_is_no_refusal() -> None:
    client = aws.moto().dynamodb
    with aws.table(client) as table:
        keys, plain = DynamoIdempotencyKeys(Repeating(client), table), DynamoIdempotencyKeys(client, table)
        entry = an_entry()
        assert keys.create(entry) is None
        taken_over = entry.model_copy(update={"attempt": new_id()})
        assert keys.replace(entry, taken_over)
        assert keys.replace(taken_over, taken_over.model_copy(update={"finished": True}))
        assert not keys.replace(entry, entry)
        keys.remove(taken_over)
        assert plain.create(an_entry()) is None


def test_dynamodb_removes_a_key_a_day_after_its_first_use() -> None:
    client = aws.moto().dynamodb
    with aws.table(client) as table:
        DynamoIdempotencyKeys(client, table).create(an_entry(key="a#b"))
        (item,) = client.scan(TableName=table)["Items"]
    ends = int(item["expires_at"]["N"]) - time.time()
    assert KEY_LIFE - timedelta(minutes=1) < timedelta(seconds=ends) <= KEY_LIFE + timedelta(seconds=1)
    assert item["ImageID"]["S"] == "idem#ada#a%23b"
    assert "index_key" not in item


def test_an_unreachable_table_is_unavailable() -> None:
    keys = DynamoIdempotencyKeys(aws.moto().dynamodb, "no-table")
    for call in (keys.create, lambda entry: keys.replace(entry, entry), keys.remove):
        with pytest.raises(Unavailable):
            call(an_entry(leased_until=utcnow()))
