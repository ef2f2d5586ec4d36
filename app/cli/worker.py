"""The embedded worker process: one a data folder, from start-up recovery to its server's end."""

import contextlib
import fcntl
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from app import logs
from app.bootstrap import Backends, limits_of, open_backends
from app.domain.errors import ConfigurationError, PortError
from app.domain.reconcile import Reconciler
from app.settings import Settings, load
from app.worker.loop import run
from app.worker.process import Worker
from app.worker.sandbox import Sandbox

log = logging.getLogger("app.cli.worker")

RECONCILE_EVERY = 3600.0
#: How long a picture may go on after the worker was asked to stop; its event is then left to the next worker.
GRACE = 9.0


def main(*, end_with_input: bool = False) -> None:
    """Take the data folder's lock, bring to rest what was left, then develop what comes until told to stop.

    With `end_with_input` the end of standard input is such a word: it is the server's pipe, gone when the server is.
    """
    try:
        settings = load()
        logs.configure(
            settings.log_level, settings.service, (settings.data_folder, settings.database_file), settings.log_format
        )
        logs.catch_uncaught()
        if not settings.embedded:
            raise ConfigurationError("DARKROOM_STORAGE_URL: the worker process serves a data folder (`file:`)")
        stop = threading.Event()
        _stop_on_signals(stop, watch_input=end_with_input)
        with _lock(settings.data_folder, stop) as held:
            if held:
                _work(settings, open_backends(settings), stop)
    except ConfigurationError as error:
        if end_with_input:  # the server's log is read by programs, a terminal by people
            log.critical("the worker cannot start: %s", error)
        raise SystemExit(1 if end_with_input else str(error)) from None


def _work(settings: Settings, backends: Backends, stop: threading.Event) -> None:
    scratch = settings.data_folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)  # of a worker that was killed: we hold its lock now
    scratch.mkdir()
    limits = limits_of(settings)
    sandbox = Sandbox(settings.develop_seconds, settings.develop_memory_mb)
    sandbox.start()
    worker = Worker(
        backends.store,
        backends.images,
        sandbox,
        recipe=settings.recipe,
        limits=limits,
        adopt=settings.auth == "none",
        scratch=scratch,
        max_receives=settings.max_receives,
    )
    reconciler = Reconciler(backends.store, backends.images, backends.queue)
    requeue_after = timedelta(0)
    log.info("worker ready", extra={"pid": os.getpid()})
    try:
        recovered = False
        while not stop.is_set():
            with _logged("reconcile failed; it runs again within the hour"):
                if not recovered:
                    backends.recover()
                    recovered = True
                report = reconciler.run(requeue_after=requeue_after)
                requeue_after = timedelta(minutes=15)
                log.info("reconciled", extra=asdict(report))
                backends.tidy()
            _run_for(RECONCILE_EVERY if recovered else 5.0, backends, worker, stop)
    finally:
        sandbox.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _run_for(seconds: float, backends: Backends, worker: Worker, stop: threading.Event) -> None:
    until = time.monotonic() + seconds
    run(backends.queue, worker, lambda: stop.is_set() or time.monotonic() > until)


@contextlib.contextmanager
def _logged(sentence: str) -> Iterator[None]:
    try:
        yield
    except PortError:
        log.exception(sentence)


@contextlib.contextmanager
def _lock(folder: Path, stop: threading.Event) -> Iterator[bool]:
    """Wait until no other worker serves the folder; False when told to stop before that."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "worker.lock").open("a")
    except OSError as error:
        raise ConfigurationError(f"DARKROOM_STORAGE_URL: cannot use {folder}: {error.strerror}") from error
    with lock as handle:
        while not stop.is_set():
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stop.wait(0.5)
            else:
                yield True
                return
        yield False


def _stop_on_signals(stop: threading.Event, *, watch_input: bool) -> None:
    def ask() -> None:
        if not stop.is_set():
            stop.set()
            timer = threading.Timer(GRACE, os._exit, (0,))
            timer.daemon = True
            timer.start()

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        ask()

    signal.signal(signal.SIGTERM, lambda *_: ask())
    if watch_input:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server ends us in order
        threading.Thread(target=watch, name="server-watch", daemon=True).start()
    else:
        signal.signal(signal.SIGINT, lambda *_: ask())


if __name__ == "__main__":
    main(end_with_input="--end-with-input" in sys.argv[1:])
