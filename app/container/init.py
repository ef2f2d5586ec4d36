"""Entry point of the server image: run as process 1, start the server, forward signals and reap orphans.

The kernel gives every orphan of a container to its process 1, and ignores signals for which that process has no
handler. `docker run --init` adds a program that does the same; with it, or outside of a container, this module is the
server itself.
"""

import contextlib
import os
import signal
import sys

from app import linux

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    """Start the server. As process 1, wait for it and exit with its status."""
    command = [sys.executable, "-m", "app.main", *sys.argv[1:]]
    if os.getpid() != 1:
        os.execv(sys.executable, command)  # noqa: S606 - the command is our own
    linux.hide()  # its environment is the server's
    signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)  # until there is a server to forward them to
    server = os.posix_spawn(sys.executable, command, os.environ, setsigmask=())
    for number in _FORWARDED:
        signal.signal(number, lambda received, _: _send(server, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == server:
            code = os.waitstatus_to_exitcode(status)
            raise SystemExit(code if code >= 0 else 128 - code)


def _send(server: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(server, number)


if __name__ == "__main__":
    main()
