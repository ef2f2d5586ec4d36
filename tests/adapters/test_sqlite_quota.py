"""Usage of owners after a crash, and after an upgrade."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.adapters.sqlite import Database, SqliteImages
from app.domain.models import Image
from app.domain.quota.usage import Usage
from tests.contract.records import OWNER, an_image

#: Creates and removes records within a quota until it is killed; prints a line for each stored record.
ENDLESS = """
import sys
from pathlib import Path
from app.adapters.sqlite import Database, SqliteImages
from app.domain.errors import OverQuota
from app.domain.quota.usage import Quota
from tests.contract.records import an_image, tombstone_of

images, kept = SqliteImages(Database(Path(sys.argv[1]))), []
while True:
    image = an_image(bytes=1000)
    try:
        images.create(image, claim=True, quota=Quota(bytes=20_000))
    except OverQuota:
        for old in kept[::2]:
            images.delete(old.id, old.version, tombstone_of(old))
        kept = kept[1::2]
    else:
        kept.append(image)
        print(image.id, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 20, 50, 300])
def test_a_killed_process_leaves_an_exact_usage(tmp_path: Path, lines: int) -> None:
    file = tmp_path / "darkroom.db"
    with subprocess.Popen([sys.executable, "-c", ENDLESS, str(file)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(lines):
            assert process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    database = Database(file)
    images = SqliteImages(database)
    exact, owner = count(images)
    assert 0 < exact.bytes <= 20_000
    assert images.counters.get(owner).usage == exact
    assert images.counters.recount_usage(owner) == exact
    database.close()


class Overtaken(Database):
    """A database in which something else happens before the next transaction that writes."""

    happens: Callable[[], object] | None = None

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()
        with super().writing(durable=durable) as connection:
            yield connection


def test_a_recount_keeps_what_others_write_meanwhile(tmp_path: Path) -> None:
    database = Overtaken(tmp_path / "darkroom.db")
    images = SqliteImages(database)
    images.create(an_image(bytes=1000), claim=True)
    with database.writing() as connection:
        connection.execute("UPDATE usage SET bytes = bytes + 500, images = images + 1")
    database.happens = lambda: images.create(an_image(bytes=70), claim=True)
    usage = images.counters.recount_usage(OWNER)
    assert database.happens is None
    assert usage == images.counters.get(OWNER).usage == count(images)[0] == Usage(1070, 2)
    database.close()


def count(images: SqliteImages) -> tuple[Usage, str]:
    """Add up the records, which all have one owner."""
    records = [image for image in images.scan() if isinstance(image, Image)]
    return Usage(sum(image.bytes for image in records), len(records)), records[0].owner
