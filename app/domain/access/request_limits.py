"""Rate limits of callers: by API key, or by address without one."""

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.domain.access.api_keys import Caller, hash_key
from app.domain.access.token_buckets import Buckets, Standing
from app.domain.errors import Unauthorized

#: Maximum number of keys to remember that were valid.
MAX_KEYS = 4096
#: Bits of an IPv6 address that belong to one caller, who usually has all addresses below them.
_IPV6_BITS = 64
#: Bucket of callers whose address is not known.
_UNKNOWN = "unknown"

Note = Callable[[Standing | None], None]


class RequestLimits:
    """Buckets of all callers of one process. `rate` is requests a second; None: only keys with a rate of their own are
    limited.

    A key that is not valid counts for the address that it comes from. While that address has no requests left, only
    keys that this process has accepted before are checked at all, so that guesses are bounded, and the other callers
    at the address can go on.
    """

    def __init__(self, rate: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._keys = Buckets(clock)
        self._networks = Buckets(clock)
        self._lock = threading.Lock()
        self._accepted: OrderedDict[str, None] = OrderedDict()

    def take(self, caller: Caller, address: str | None) -> Standing | None:
        """Take a token for a request of a known caller; return None if there is no limit."""
        rate = caller.own_limits.rate(self._rate)
        if rate is None:
            return None
        if caller.has_key:
            return self._keys.take(caller.key_id, rate)
        return self._networks.take(read_network(address), rate)

    @contextmanager
    def checking(self, key: str, address: str | None, note: Note) -> Iterator[None]:
        """Look a key up within the block, which raises `Unauthorized` for one that is not valid.

        A key that is not valid, or missing, takes a token of the address. `note` gets the state of its bucket, and
        raises an error if there was no token; then the key is not looked up.
        """
        if self._rate is None:
            yield
            return
        network, digest = read_network(address), hash_key(key)
        with self._lock:
            is_known = digest in self._accepted
        standing = None if is_known else self._networks.take(network, self._rate)
        if standing is not None and not standing.is_taken:
            note(standing)
        try:
            yield
        except Unauthorized:
            with self._lock:
                self._accepted.pop(digest, None)  # it may have ended
            note(standing or self._networks.take(network, self._rate))
            raise
        except BaseException:
            self._give_back(network, is_known=is_known)
            raise
        self._give_back(network, is_known=is_known)
        with self._lock:
            self._accepted[digest] = None
            self._accepted.move_to_end(digest)
            if len(self._accepted) > MAX_KEYS:
                self._accepted.popitem(last=False)

    def _give_back(self, network: str, *, is_known: bool) -> None:
        if not is_known and self._rate is not None:
            self._networks.give_back(network, self._rate)


def read_network(address: str | None) -> str:
    """Return the name of the bucket of an address: an IPv4 address, or the first 64 bits of an IPv6 address.

    Of a list, as load balancers write it, the last address counts: clients write the others.
    """
    text = (address or "").rpartition(",")[2].strip()
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return _UNKNOWN
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> _IPV6_BITS << _IPV6_BITS))
