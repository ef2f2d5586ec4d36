"""Corners that only a database file has."""

import functools
import gc
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.adapters.sqlite import Database, SqliteImages, SqliteQueue
from app.adapters.sqlite.schema import MIGRATIONS
from app.domain.errors import ConfigurationError, PortError, Unavailable
from app.domain.models import utcnow
from app.domain.ports import ListQuery
from tests.contract.records import a_query, an_image, ids, stored, tombstone_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "dark room%20?#.db"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    opened = Database(file, patience=0.2)
    yield opened
    opened.close()


def every_call(database: Database) -> dict[str, Callable[[], object]]:
    """One call of every method that reaches the database."""
    images, queue = SqliteImages(database), SqliteQueue(database, 30, 3)
    image = an_image()
    return {
        "create": lambda: images.create(image, claim=True),
        "claim": lambda: images.claim(image),
        "get": lambda: images.get(image.id),
        "find_hash": lambda: images.find_hash("ada", "0" * 64),
        "update": lambda: images.update(image.id, 1, {}),
        "remove": lambda: images.remove(image.id, 1),
        "remove_all": lambda: images.remove_all([image]),
        "open_tickets": lambda: images.open_tickets("ada", 5),
        "delete image": lambda: images.delete(image.id, 1, tombstone_of(image)),
        "update_tombstone": lambda: images.update_tombstone(image.id, {}),
        "list": lambda: images.list(ListQuery("ada", 10)),
        "due": lambda: list(images.due(utcnow())),
        "owned": lambda: list(images.owned("ada")),
        "scan": lambda: list(images.scan()),
        "images ping": images.ping,
        "send": lambda: queue.send("x"),
        "receive": queue.receive,
        "delete": lambda: queue.delete("1-a"),
        "release": lambda: queue.release("1-a"),
        "dead_letters": queue.dead_letters,
        "redrive": queue.redrive,
        "recover": queue.recover,
        "queue ping": queue.ping,
    }


CALLS = sorted(every_call(object.__new__(Database)))
READS = {"get", "find_hash", "list", "open_tickets", "due", "owned", "scan", "images ping", "queue ping", "receive"}
WRITES = sorted(set(CALLS) - READS)


def test_a_database_is_made_durable_and_kept(file: Path) -> None:
    first = Database(file)
    image = stored(SqliteImages(first))
    with first.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    first.close()
    second = Database(file)
    assert SqliteImages(second).get(image.id) == image
    second.close()


def test_deleted_records_leave_no_trace_in_the_files(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def of_another_build(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    monkeypatch.setattr(sqlite3, "connect", of_another_build)
    database = Database(file)
    images = SqliteImages(database)
    image = stored(images, title="a telling title")

    def found() -> bool:
        return any(b"a telling title" in path.read_bytes() for path in file.parent.iterdir())

    assert database.checkpoint()
    assert found()
    images.remove(image.id, image.version)
    assert database.checkpoint()
    assert not found()
    database.close()


def test_a_log_that_is_being_read_is_emptied_another_time(database: Database, file: Path) -> None:
    stored(SqliteImages(database))
    reader = sqlite3.connect(file)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM images").fetchone()
    assert not database.checkpoint()
    reader.close()
    assert database.checkpoint()
    assert file.with_name(f"{file.name}-wal").stat().st_size == 0


def damaged_header(file: Path) -> None:
    file.write_bytes(b"this is no database" * 500)


def damaged_pages(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096 * 2 :] = os.urandom(len(content) - 4096 * 2)
    file.write_bytes(content)


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: 4096 * 3])


def newer(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()


def foreign(file: Path) -> None:
    file.unlink()
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE images (x)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (damaged_header, "damaged or not a database"),
        (damaged_pages, "damaged"),
        (cut_off, "damaged"),
        (newer, "newer Darkroom"),
        (foreign, "another program"),
    ],
)
def test_a_file_that_is_no_good_is_refused_and_left_as_it_is(
    file: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    database = Database(file)
    for _ in range(50):
        stored(SqliteImages(database))
    database.close()
    spoil(file)
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        Database(file)
    assert str(file) in str(caught.value)
    assert file.read_bytes() == before


def test_an_interrupted_first_start_is_begun_again(file: Path) -> None:
    file.parent.mkdir()
    file.touch()
    Database(file).close()
    Database(file).close()


def test_a_first_start_beside_another_takes_no_half_made_database_for_a_foreign_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[threading.Thread] = []

    class Interrupted(sqlite3.Connection):
        """Another first start comes between what this one asks to know the database by."""

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql == "PRAGMA user_version" and not others:
                others.append(threading.Thread(target=lambda: Database(file).close()))
                monkeypatch.undo()
                others[0].start()
                others[0].join(0.5)  # it may have to wait until this one is done
            return super().execute(sql, *parameters)

    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Interrupted))
    database = Database(file)
    others[0].join()
    stored(SqliteImages(database))
    database.close()


def test_a_path_that_cannot_be_used_is_a_matter_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "darkroom.db"):
        with pytest.raises(ConfigurationError, match="cannot be used"):
            Database(path)


def test_a_database_that_is_gone_does_not_come_back_empty(database: Database, file: Path) -> None:
    stored(SqliteImages(database))
    for path in file.parent.iterdir():
        path.unlink()
    with pytest.raises(Unavailable), database.reading(), database.reading():
        pytest.fail("a second connection was made")
    with pytest.raises(Unavailable):
        database.ping()
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.slow
def test_a_database_locked_by_another_is_unavailable(database: Database, file: Path, call: str) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Unavailable, match="busy"):
            every_call(database)[call]()
    finally:
        other.close()
    assert ids(SqliteImages(database)) == []


def test_readers_go_on_while_another_writes(database: Database, file: Path) -> None:
    image = stored(SqliteImages(database))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM images")
    assert SqliteImages(database).get(image.id) == image
    assert ids(SqliteImages(database)) == [image.id]
    other.close()


def test_a_write_waits_for_another_process_to_finish(file: Path) -> None:
    database = Database(file)
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.execute, ["COMMIT"])
    release.start()
    image = stored(SqliteImages(database))
    release.join()
    other.close()
    assert SqliteImages(database).get(image.id) == image
    database.close()


@pytest.mark.parametrize("call", CALLS)
def test_foreign_errors_never_cross(database: Database, file: Path, call: str) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    for table in ("images", "entries", "hashes", "messages"):
        other.execute(f"ALTER TABLE {table} RENAME TO was_{table}")
    other.close()
    if call == "queue ping":
        call = "images ping"
    with pytest.raises(Unavailable, match="failed"):
        every_call(database)[call]()


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_database_is_unavailable(database: Database, call: str) -> None:
    database.close()
    with pytest.raises(Unavailable, match="closed"):
        every_call(database)[call]()


def test_a_refused_write_changes_nothing_and_the_next_one_succeeds(database: Database) -> None:
    images = SqliteImages(database)
    with database.writing() as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT raise(ABORT, 'full'); END")
    image = an_image()
    with pytest.raises(Unavailable):
        images.create(image, claim=True)
    with database.writing() as connection:
        connection.execute("DROP TRIGGER full")
    assert images.get(image.id) is None
    assert images.find_hash(image.owner, image.sha256 or "") is None
    images.create(image, claim=True)
    assert images.get(image.id) == image


def test_a_full_disk_is_unavailable_and_room_brings_it_back(file: Path) -> None:
    program = f"""
        import resource, signal
        from pathlib import Path
        from app.adapters.sqlite import Database, SqliteImages
        from app.domain.errors import Unavailable
        from tests.contract.records import stored, ids
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        images = SqliteImages(Database(Path({str(file)!r})))
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limit[1]))
        made = []
        try:
            for _ in range(1000):
                made.append(stored(images, title="x" * 1000).id)
        except Unavailable as error:
            print(error, 0 < len(made) < 1000)
        print(ids(images) == made[::-1])
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        made.append(stored(images).id)
        print(ids(images) == made[::-1])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == ["The database failed. True", "True", "True"], done.stderr


@pytest.mark.slow
def test_processes_that_write_at_once_lose_and_corrupt_nothing(file: Path) -> None:
    program = f"""
        import sys
        from pathlib import Path
        from app.adapters.sqlite import Database, SqliteImages, SqliteQueue
        from tests.contract.records import stored
        print("ready", flush=True)
        sys.stdin.readline()
        database = Database(Path({str(file)!r}))  # the first start of all of them at once, too
        images, queue = SqliteImages(database), SqliteQueue(database, 30, 3)
        for number in range(60):
            image = stored(images, tags=["all"])
            images.update(image.id, 1, {{"title": "mine"}})
            queue.send(image.id)
            for message in queue.receive():
                print(message.body)
                queue.delete(message.receipt)
    """
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()
    received = [line for writer in writers for line in writer.communicate(timeout=300)[0].split()]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    database = Database(file)
    listed = ids(SqliteImages(database), tags=("all",))
    assert len(listed) == 180
    received += [message.body for _ in range(30) for message in SqliteQueue(database, 30, 3).receive(10)]
    assert sorted(received) == sorted(listed)
    assert {image.title for image in SqliteImages(database).list(a_query(limit=200)).items} == {"mine"}
    database.close()


def test_acknowledged_writes_survive_a_killed_process(file: Path) -> None:
    program = f"""
        import os
        from pathlib import Path
        from app.adapters.sqlite import Database, SqliteImages, SqliteQueue
        from tests.contract.records import an_image, stored
        from app.adapters.sqlite.images import insert
        database = Database(Path({str(file)!r}))
        image = stored(SqliteImages(database))
        queue = SqliteQueue(database, 900, 3)
        queue.send(image.id)
        queue.receive()
        queue.send("second")
        print(image.id, flush=True)
        with database.writing() as connection:
            insert(connection, an_image())
            os.kill(os.getpid(), 9)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -9, done.stderr
    database = Database(file)
    assert ids(SqliteImages(database)) == [done.stdout.strip()]
    queue = SqliteQueue(database, 900, 3)
    assert [message.body for message in queue.receive(10)] == ["second"]
    assert queue.recover() == 2
    assert {(message.body, message.receive_count) for message in queue.receive(10)} == {
        (done.stdout.strip(), 2),
        ("second", 2),
    }
    database.close()


def test_threads_leave_no_connection_behind(file: Path) -> None:
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - counts descriptors
    database = Database(file)
    images = SqliteImages(database)
    for _ in range(3):
        threads = [threading.Thread(target=stored, args=[images]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    database.close()
    gc.collect()
    assert len(os.listdir("/dev/fd")) <= before  # noqa: PTH208


def test_a_database_is_not_carried_into_a_forked_process(database: Database) -> None:
    child = os.fork()
    if child == 0:
        try:
            database.ping()
        except RuntimeError:
            os._exit(7)
        except PortError:
            os._exit(8)
        os._exit(9)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    database.ping()


def test_only_writes_that_are_not_durable_do_not_wait_for_the_disk(database: Database) -> None:
    def level(*, durable: bool) -> int:
        with database.writing(durable=durable) as connection:
            found: int = connection.execute("PRAGMA synchronous").fetchone()[0]
        return found

    assert [level(durable=True), level(durable=False), level(durable=True)] == [2, 1, 2]
    with pytest.raises(ValueError, match="stop"), database.writing(durable=False):
        raise ValueError("stop")
    assert level(durable=True) == 2
