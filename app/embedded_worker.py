"""Entry point of the self-hosted worker process: one per data folder, supervised by the server."""

import contextlib
import fcntl
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path

from app import linux, logs
from app.bootstrap import Backends, open_backends
from app.bootstrap_worker import (
    build_memory_budget,
    build_sending_loop,
    build_size_renderer,
    build_worker,
    start_sandbox,
)
from app.domain.errors import ConfigurationError, PortError
from app.domain.maintenance.reconcile import Reconciler
from app.domain.reports import ImageReport, ImageReporter, log_report
from app.domain.sizes.offer import OnDemand
from app.monitoring.exchange import FiguresSocket
from app.monitoring.worker_figures import WorkerFigures
from app.settings import Settings, load
from app.worker.machine import usable_cpus
from app.worker.on_demand.server import RenderServer
from app.worker.queue_loop import run
from app.worker.sandbox import confinement, landlock, seccomp

log = logging.getLogger("app.embedded_worker")

RECONCILE_EVERY = 3600.0
_RECOVERY_RETRY = 5.0
#: Seconds for the current image after the worker was asked to stop. Then its event is left to the next worker.
GRACE = 9.0
#: Processes that wait for a size on demand.
_SPARES = 1


def main(*, end_with_input: bool = False) -> None:
    """Lock the data folder, recover after a crash, then process images until a signal.

    With `end_with_input`, the end of standard input also stops the worker: it is a pipe that ends with the server. The
    worker then writes the id of each image that it has handled to standard output.
    """
    reporter = _tell_server() if end_with_input else log_report
    try:
        linux.hide()
        settings = load()
        logs.configure(
            settings.log_level, settings.service, (settings.data_folder, settings.database_file), settings.log_format
        )
        logs.catch_uncaught()
        if not settings.self_hosted:
            raise ConfigurationError("DARKROOM_STORAGE_URL: must be file:<folder> for `darkroom worker`")
        stop = threading.Event()
        _stop_on_signals(stop, watch_input=end_with_input)
        with _lock(settings.data_folder, stop) as held:
            if held:
                _work(settings, open_backends(settings), stop, reporter)
    except ConfigurationError as error:
        if end_with_input:  # a line of the server's log, which programs read
            log.critical("the worker cannot start: %s", error)
            raise SystemExit(2) from None
        logs.end_before_start(error)


def _work(settings: Settings, backends: Backends, stop: threading.Event, reporter: ImageReporter) -> None:
    scratch = make_scratch(settings.data_folder / "scratch")
    sandbox = start_sandbox(settings)
    slots = settings.workers or usable_cpus()
    figures = WorkerFigures(slots)

    def report(image: ImageReport) -> None:
        figures.image(image)
        reporter(image)

    may_share = confinement.protects_source()
    worker = build_worker(settings, backends, sandbox, scratch, share_originals=may_share, reporter=report)
    maintenance = threading.Thread(target=_reconcile_hourly, args=(backends, stop), name="reconcile", daemon=True)
    webhooks = build_sending_loop(settings, backends, figures.webhook)
    sending = threading.Thread(target=webhooks.run, args=(stop.is_set,), name="webhooks", daemon=True)
    protections = {"landlock": max(landlock.version(), 0), "seccomp": seccomp.available()}
    if not all(protections.values()):
        log.warning("this system confines decoders only partly; see SECURITY.md", extra=protections)
    spares = 0 if settings.on_demand_mode is OnDemand.OFF else _SPARES
    memory = build_memory_budget(settings, 2 * slots, spares)
    work = partial(run, backends.queue, worker, slots=slots, memory=memory, check_space=backends.check_space)
    renderer = build_size_renderer(settings, backends, scratch, memory=memory, share_sources=may_share, spares=spares)
    sizes = RenderServer(settings.size_socket, renderer, at_once=slots)
    sizes.start()
    figures.watch("image", sandbox.busy)
    figures.watch("size", renderer.busy)
    shown = FiguresSocket(settings.figures_socket, figures.exposition)
    shown.start()
    log.info("worker ready", extra={"pid": os.getpid(), "workers": slots, **protections})
    try:
        # Before the first message is received: recovery treats every message with a receiver as abandoned.
        while not stop.is_set() and not _recovered(backends):
            work(_over_in(_RECOVERY_RETRY, stop))
        maintenance.start()
        sending.start()
        work(stop.is_set)
        maintenance.join()
    finally:
        shown.stop()
        sizes.stop()
        renderer.close()
        sandbox.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _tell_server() -> ImageReporter:
    """Return a reporter that also writes ids of images to the pipe on standard output, for requests that wait.

    Nothing else uses the pipe, so it ends with this process. If it is full, ids are dropped: the server also polls.
    """
    pipe = os.dup(sys.stdout.fileno())
    os.set_blocking(pipe, False)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def report(image: ImageReport) -> None:
        log_report(image)
        with contextlib.suppress(OSError):
            os.write(pipe, f"{image.image_id}\n".encode())

    return report


def make_scratch(folder: Path) -> Path:
    """Make a scratch folder for this process in `folder`, and remove those of killed workers.

    The folder is new, because a child of a killed worker may live for a moment and write into the old one.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    created = Path(tempfile.mkdtemp(dir=folder, prefix=f"worker-{os.getpid()}-"))
    for left in folder.iterdir():
        if left != created:
            shutil.rmtree(left, ignore_errors=True)
    return created


def _over_in(seconds: float, stop: threading.Event) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: stop.is_set() or time.monotonic() > until


def _recovered(backends: Backends) -> bool:
    """Recover the work of a killed worker. Return False if a backend refused."""
    try:
        backends.recover()
    except PortError:
        log.exception("recovery failed; retrying in a few seconds")
        return False
    return True


def _reconcile_hourly(backends: Backends, stop: threading.Event) -> None:
    """Reconcile now and every hour, while images are processed.

    The first run sends the event of every pending image again, regardless of the queue.
    """
    reconciler = Reconciler(backends.store, backends.images, backends.queue, backends.renderings)
    requeue_after = timedelta(0)
    while not stop.is_set():
        try:
            report = reconciler.run(requeue_after=requeue_after, stop=stop.is_set)
            requeue_after = timedelta(minutes=15)
            log.info("reconciled", extra=asdict(report))
            backends.tidy()
        except PortError:
            log.exception("reconcile failed; it runs again within the hour")
        except Exception:
            log.exception("reconcile failed unexpectedly; it runs again within the hour")
        stop.wait(RECONCILE_EVERY)


@contextlib.contextmanager
def _lock(folder: Path, stop: threading.Event) -> Iterator[bool]:
    """Wait until no other worker uses the folder. Yield False if stopped before that."""
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
    def request_stop() -> None:
        if not stop.is_set():
            stop.set()
            timer = threading.Timer(GRACE, os._exit, (0,))
            timer.daemon = True
            timer.start()

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        request_stop()

    signal.signal(signal.SIGTERM, lambda *_: request_stop())
    if watch_input:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server too, which stops us
        threading.Thread(target=watch, name="server-watch", daemon=True).start()
    else:
        signal.signal(signal.SIGINT, lambda *_: request_stop())


if __name__ == "__main__":
    main(end_with_input="--end-with-input" in sys.argv[1:])
