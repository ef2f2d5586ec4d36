"""One storm: clients, kills and the passing of time, then the checks."""

import threading
from pathlib import Path

from tests.running_server import Server
from tests.self_hosted.kill_storm.checks import Checks
from tests.self_hosted.kill_storm.clients import ENTRY, KEY, KINDS, Client
from tests.self_hosted.kill_storm.faults import Killer, Time
from tests.self_hosted.kill_storm.ledger import Ledger, Outcome
from tests.self_hosted.kill_storm.webhooks import ADMIN_ENTRY, Receiver
from tests.sides import self_hosted


def storm(data: Path, *, seconds: float, seed: int) -> Outcome:
    """Load and kill a server on this folder for `seconds`, let it finish its work, and check what it has kept."""
    ledger, stop = Ledger(), threading.Event()
    # Kills count as attempts, and a storm has more of them than an image should need. With keys an original without a
    # record is adopted by nobody: it is lost.
    settings = {
        "DARKROOM_MAX_ATTEMPTS": "100",
        "DARKROOM_AUTH": "required",
        "DARKROOM_API_KEYS": f"{ENTRY},{ADMIN_ENTRY}",
        "DARKROOM_ALLOW_PRIVATE_ADDRESSES": "true",
        "DARKROOM_TRASH_DAYS": "1",
        # Several images at once that wait for memory: their deliveries are noted as not started, and started later.
        "DARKROOM_WORKERS": "3",
        "DARKROOM_MEMORY_BUDGET_MB": "1024",
    }
    receiver = Receiver(seed)
    with receiver.listening(), Server(data, **settings) as server, self_hosted(data) as side:
        server.client.headers.update(KEY)
        receiver.register(server)
        kinds = [kind for kind, clients in KINDS.items() for _ in range(clients)]
        threads = [
            threading.Thread(target=Client(server, ledger, stop, number, seed).run, args=(kind,))
            for number, kind in enumerate(kinds, 1)
        ]
        threads.append(threading.Thread(target=Time(side, data, ledger, seed).run, args=(stop,)))
        for thread in threads:
            thread.start()
        try:
            Killer(server, ledger, seed).run(seconds)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        return Checks(server, side, ledger, receiver).run()
