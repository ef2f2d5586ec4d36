"""SIGTERM and SIGHUP interrupt a command as Ctrl-C does, so that it removes its temporary files."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Windows has no SIGHUP.
_NUMBERS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `KeyboardInterrupt` in the block on one of these signals, unless it is ignored, as `nohup` does.

    The process then ends by that signal, as its parent expects. A second signal ends it at once.
    """
    received: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        received.append(number)
        raise KeyboardInterrupt

    changed = [number for number in _NUMBERS if signal.getsignal(number) == signal.SIG_DFL]
    for number in changed:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
        if received:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            signal.raise_signal(received[0])
