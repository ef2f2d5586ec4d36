"""Progress and interruption of commands that visit every image."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

import typer

from app.domain.errors import PortError
from app.domain.maintenance.pace import Pause

#: Exit code after Ctrl-C.
INTERRUPTED = 130
#: Seconds between two lines of progress: on a terminal, which shows one line, and elsewhere.
_TERMINAL_SECONDS, _FILE_SECONDS = 0.5, 30.0


class Stop:
    """Request to stop, by Ctrl-C or SIGTERM. A second signal ends the process at once."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Stop on signals within the block."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        def stop(_: int, __: FrameType | None) -> None:
            self._stopped.set()
            restore()

        for number in before:
            signal.signal(number, stop)
        try:
            yield
        finally:
            restore()

    def wait(self, seconds: float) -> bool:
        """Wait. Return True if the command should stop."""
        return self._stopped.wait(seconds) if seconds else self._stopped.is_set()


class Progress:
    """Count, rate and position on standard error: one changing line on a terminal, or a line every half minute."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._terminal = typer.get_text_stream("stderr").isatty()
        self._every = _TERMINAL_SECONDS if self._terminal else _FILE_SECONDS
        self._begun = self._shown = clock()

    def show(self, count: int, last_id: str | None) -> None:
        """Show the progress if it is time to."""
        now = self._clock()
        if now - self._shown < self._every:
            return
        self._shown = now
        rate = count / max(now - self._begun, 0.001)
        line = f"{count:,} {self._what}, {rate:,.1f} a second, last id {last_id or '-'}"
        typer.echo(f"\r\x1b[K{line}" if self._terminal else line, err=True, nl=not self._terminal)

    def end(self) -> None:
        """Clear the line of a terminal."""
        if self._terminal:
            typer.echo("\r\x1b[K", err=True, nl=False)


class Report(Protocol):
    """Report of a walk over all images: the last id, and True for `complete` at the end of the table."""

    last_id: str | None
    complete: bool


def run_resumable(
    walk: Callable[[Pause], object], report: Report, command: str, progress: Progress, count: Callable[[], int]
) -> None:
    """Run a walk over all images until its end or a signal, with progress. `count` is the number to show.

    If it ends early, also because a backend fails, print how to continue.
    """
    stop = Stop()

    def pause(seconds: float) -> bool:
        progress.show(count(), report.last_id)
        return stop.wait(seconds)

    try:
        with stop.on_signals():
            walk(pause)
    except PortError:
        progress.end()
        _print_position(command, report.last_id)
        raise
    progress.end()
    if not report.complete:
        typer.echo("Interrupted.", err=True)
        _print_position(command, report.last_id)


def count_images(number: int) -> str:
    """Return the number with its noun."""
    return f"{number:,} {'image' if number == 1 else 'images'}"


def _print_position(command: str, last_id: str | None) -> None:
    typer.echo(f"Continue with: darkroom {command}{f' --after {last_id}' if last_id else ''}", err=True)
