"""Token buckets, which limit the rate of requests."""

import math
import threading
import time
from collections.abc import Callable
from heapq import heappop, heappush, heapreplace
from typing import NamedTuple

#: Seconds in which an empty bucket fills up: a burst is ten times the rate.
BURST_SECONDS = 10
#: Lowest rate: a full bucket holds one request.
MIN_RATE = 1 / BURST_SECONDS
#: Most buckets in memory, which take about 9 MB. Full ones need none.
MAX_BUCKETS = 32_768
#: Error of sums of floating-point seconds.
_ROUNDING = 1e-6
#: Full buckets that are forgotten for each new one, so that their number falls.
_FORGOTTEN_AT_ONCE = 2


def get_burst(rate: float) -> int:
    """Return the number of requests in a full bucket."""
    return int(BURST_SECONDS * rate + _ROUNDING)


class Standing(NamedTuple):
    """A bucket after a request for a token. `is_taken` is False if there was none.

    `remaining` tokens are left, and there is one more in `seconds`, which is 1 at least.
    """

    rate: float
    is_taken: bool
    remaining: int
    seconds: int


class Buckets:
    """Token buckets by name. Threads can share them.

    Each bucket is one number: the time at which it is full again. A full bucket is like one that was never used, so it
    is forgotten. Where too many are not full, the fullest one is forgotten, which gives its owner the fewest tokens:
    many callers with a request each cannot refill the bucket of a caller with many requests. `clock` is monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = MAX_BUCKETS) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._full_at: dict[str, float] = {}
        # An entry for each bucket, with a time of the past: later ones are seen when the entry is the first.
        self._order: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, name: str, rate: float) -> Standing:
        """Take a token from a bucket that `rate` tokens a second flow into."""
        with self._lock:
            now, cost = self._clock(), 1 / rate
            missing = max(0.0, self._full_at.get(name, now) - now)
            is_taken = missing + cost <= BURST_SECONDS + _ROUNDING
            if is_taken:
                missing += cost
                self._store(name, now + missing, now)
        left = BURST_SECONDS + _ROUNDING - missing
        remaining = max(0, int(left / cost))
        return Standing(rate, is_taken, remaining, max(1, math.ceil((remaining + 1) * cost - left)))

    def give_back(self, name: str, rate: float) -> None:
        """Put a token back."""
        with self._lock:
            if name in self._full_at:
                self._full_at[name] -= 1 / rate

    def _store(self, name: str, full_at: float, now: float) -> None:
        if name not in self._full_at:
            for _ in range(_FORGOTTEN_AT_ONCE):
                self._forget_fullest(now)
            if len(self._full_at) >= self._most:
                self._forget_fullest(math.inf)
            heappush(self._order, (full_at, name))
        self._full_at[name] = full_at

    def _forget_fullest(self, until: float) -> None:
        """Forget the bucket that is full first, if that is at `until` at the latest."""
        while self._order and self._order[0][0] <= until:
            seen, name = self._order[0]
            full_at = self._full_at[name]
            if full_at <= seen:
                heappop(self._order)
                del self._full_at[name]
                return
            heapreplace(self._order, (full_at, name))
