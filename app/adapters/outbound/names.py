"""Name resolution with a deadline."""

import ipaddress
import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence

from app.domain.delivery.addresses import Address
from app.domain.errors import NoAnswer

#: Returns the addresses of a host. It may block for long, and raises `OSError` if there is none.
Resolve = Callable[[str], Sequence[Address]]

#: Look-ups at the same time. The system's resolver cannot be stopped and may take a minute.
_LOOKUPS = 16


def resolve(host: str) -> list[Address]:
    """Ask the system's resolver."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(str(address[0])) for *_, address in found))


class Names:
    """Look-ups in threads of their own, which do not outlive the process."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._free = threading.Semaphore(_LOOKUPS)

    def look_up(self, host: str, deadline: float) -> Sequence[Address]:
        """Return the addresses of a host. Raises `NoAnswer` if it has none, or at the deadline."""
        try:
            return [ipaddress.ip_address(host)]
        except ValueError:
            pass
        if not self._free.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise NoAnswer("timeout", "too many names are being resolved")
        results: queue.SimpleQueue[Sequence[Address]] = queue.SimpleQueue()

        def run() -> None:
            found: Sequence[Address] = ()
            try:
                found = self._resolve(host)
            except (OSError, ValueError):  # ValueError: not a name that DNS can carry
                pass
            finally:
                self._free.release()
                results.put(found)

        try:
            threading.Thread(target=run, name="name look-up", daemon=True).start()
        except RuntimeError:  # no more threads
            self._free.release()
            raise NoAnswer("name", "the name cannot be resolved now") from None
        try:
            found = results.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise NoAnswer("timeout", "the name was not resolved in time") from None
        if not found:
            raise NoAnswer("name", "the name has no address")
        return found
