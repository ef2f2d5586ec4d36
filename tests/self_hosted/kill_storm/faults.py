"""Faults of a storm: processes are killed, and time passes."""

import contextlib
import itertools
import os
import random
import signal
import sqlite3
import threading
import time
from datetime import timedelta
from pathlib import Path

from app.domain.errors import PortError, Stale
from app.domain.models import Image, is_open_ticket, utcnow
from app.domain.work import Task, Work
from tests.running_server import Server
from tests.self_hosted.kill_storm.clients import KINDS
from tests.self_hosted.kill_storm.ledger import Ledger
from tests.sides import Side

#: Most seconds that a storm is continued on a busy machine.
_MORE_SECONDS = 300
#: Most seconds for which a kill of the server waits for a request with a key to be in progress.
_LEASE_SECONDS = 1.0
#: Most seconds for which a kill of an image's process waits for one.
_CHILD_SECONDS = 1.0
#: Processes that are killed, with their weights. "everything" are the server and all processes below it.
VICTIMS = {"server": 1, "everything": 1, "worker": 3, "fork server": 2, "child": 6}
_UNFINISHED = "FROM idempotency_keys WHERE json_extract(document, '$.finished') = 0"


def descendants(pid: int) -> dict[str, list[int]]:
    """The worker processes of a server, their fork servers, and the processes of images."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, level = {}, [pid]
    for name in ("worker", "fork server", "child"):
        level = [child for parent in level for child in children.get(parent, [])]
        found[name] = level
    return found


class Killer:
    """Ends processes as a power cut, an operator or the kernel would."""

    def __init__(self, server: Server, ledger: Ledger, seed: int) -> None:
        self._server = server
        self._ledger = ledger
        self._database = server.data / "darkroom.db"
        self._dice = random.Random(f"{seed} killer")

    def run(self, seconds: float) -> None:
        """Kill for `seconds`, and on a busy machine until enough has happened. A server that was killed is started
        again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or (not self._is_enough() and time.monotonic() < end + _MORE_SECONDS):
            time.sleep(self._dice.uniform(0.05, 1.0))
            self._kill(self._dice.choices([*VICTIMS], [*VICTIMS.values()])[0])

    def _is_enough(self) -> bool:
        ledger = self._ledger
        if ledger.surprises:
            return True
        happened = all(
            ledger.events[name] for name in ("trash", "restore", "permanent delete", "key repeated", "lease ended")
        )
        # The checks restore every second one, and expect that another was purged.
        happened &= ledger.events["left in the trash"] >= 2
        return happened and ledger.kills.keys() == VICTIMS.keys() and all(ledger.kinds[kind] >= 3 for kind in KINDS)

    def _kill(self, victim: str) -> None:
        process = self._server.process
        assert process is not None
        found = descendants(process.pid)
        end = time.monotonic() + _CHILD_SECONDS
        while victim == "child" and not found["child"] and time.monotonic() < end:
            found = descendants(process.pid)
        if victim in {"server", "everything"}:
            self._await_lease()
            self._server.kill()
            if victim == "everything":
                for pid in itertools.chain(*found.values()):
                    _end(pid)
            self._ledger.kills[victim] += 1
            self._server.start()
        elif found[victim] and _end(self._dice.choice(found[victim])):
            self._ledger.kills[victim] += 1

    def _await_lease(self) -> None:
        """Wait until a request with a key is in progress, so that another one has to continue it from any point."""
        end = time.monotonic() + _LEASE_SECONDS
        with contextlib.closing(sqlite3.connect(self._database, timeout=60)) as connection:
            while time.monotonic() < end and not connection.execute(f"SELECT 1 {_UNFINISHED}").fetchone():
                time.sleep(0.001)
        time.sleep(self._dice.uniform(0, 0.03))


def _end(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


class Time:
    """Lets the time of some open tickets, leases of idempotency keys and trashed images pass, and reconciles next to
    everything else."""

    def __init__(self, side: Side, data: Path, ledger: Ledger, seed: int) -> None:
        self._side = side
        self._database = data / "darkroom.db"
        self._ledger = ledger
        self._dice = random.Random(f"{seed} time")

    def run(self, stop: threading.Event) -> None:
        """Let time pass until the storm ends."""
        while not stop.wait(self._dice.uniform(0.2, 1.0)):
            with contextlib.suppress(PortError, sqlite3.OperationalError):
                self._end_leases()
                for image_id in self._side.unfinished():
                    image = self._side.images.get(image_id)
                    if isinstance(image, Image) and self._dice.random() < 0.15:
                        with contextlib.suppress(Stale):
                            self._age(image)
                self._side.reconciler.run(requeue_after=timedelta(0))

    def _age(self, image: Image) -> None:
        past = utcnow() - timedelta(seconds=1)
        if is_open_ticket(image):
            self._side.images.update(image.id, image.version, {"upload_expires_at": past})
            self._ledger.events["ticket made to expire"] += 1
        elif image.trashed_at is not None:
            self._ledger.due.add(image.id)
            self._side.images.update(image.id, image.version, {"work": {Task.PURGE: Work.add(past)}})
            self._ledger.events["trash made due"] += 1

    def _end_leases(self) -> None:
        """End half of all leases, also of requests that are in progress."""
        past = (utcnow() - timedelta(seconds=1)).isoformat()
        with contextlib.closing(sqlite3.connect(self._database, timeout=60)) as connection, connection:
            changed = connection.execute(
                "UPDATE idempotency_keys SET document = json_set(document, '$.leased_until', ?)"
                f" WHERE (owner, key) IN (SELECT owner, key {_UNFINISHED}) AND abs(random()) % 2 = 0",
                (past,),
            )
            self._ledger.events["lease ended"] += changed.rowcount
