"""Token buckets hold a burst, fill up by the rate, and are bounded in number."""

import random
import threading
import time

import pytest

from app.domain.access.token_buckets import BURST_SECONDS, Buckets, get_burst


class Scene:
    """Buckets with a clock that the test sets. It starts far from zero, where sums of seconds are rounded."""

    def __init__(self, most: int = 100) -> None:
        self.seconds = 1_234_567.891
        self.buckets = Buckets(lambda: self.seconds, most)

    def drain(self, name: str, rate: float) -> int:
        """Take tokens until there are none; return their number."""
        taken = 0
        while self.buckets.take(name, rate).is_taken:
            taken += 1
        return taken


@pytest.mark.parametrize(("rate", "burst"), [(0.1, 1), (0.25, 2), (0.3, 3), (0.7, 7), (1, 10), (5, 50), (33.3, 333)])
def test_a_burst_is_ten_times_the_rate(rate: float, burst: int) -> None:
    scene = Scene()
    assert get_burst(rate) == scene.drain("ann", rate) == burst
    scene.seconds += BURST_SECONDS
    assert scene.drain("ann", rate) == burst
    scene.seconds += 3600
    assert scene.drain("ann", rate) == burst


def test_a_bucket_says_what_is_left_and_when_there_is_more() -> None:
    scene = Scene()
    first = scene.buckets.take("ann", 2)
    assert (first.is_taken, first.remaining, first.seconds) == (True, 19, 1)
    assert scene.drain("ann", 2) == 19
    refused = scene.buckets.take("ann", 2)
    assert (refused.is_taken, refused.remaining, refused.seconds) == (False, 0, 1)
    assert scene.drain("slow", 0.1) == 1
    assert scene.buckets.take("slow", 0.1).seconds == BURST_SECONDS
    scene.seconds += 6.5
    refused = scene.buckets.take("slow", 0.1)
    assert (refused.is_taken, refused.seconds) == (False, 4)
    scene.seconds += 3.5
    assert scene.buckets.take("slow", 0.1).is_taken


def test_after_the_seconds_of_a_refusal_a_token_is_there() -> None:
    numbers, scene = random.Random(7), Scene()
    for _ in range(300):
        rate = numbers.uniform(0.1, 20)
        scene.drain("ann", rate)
        scene.seconds += scene.buckets.take("ann", rate).seconds
        assert scene.buckets.take("ann", rate).is_taken


def test_no_caller_gets_more_than_the_burst_and_the_rate() -> None:
    numbers, scene = random.Random(1), Scene()
    begun, taken = scene.seconds, 0
    for _ in range(5000):
        scene.seconds += numbers.choice([0, 0, 0, 0.01, 0.3])
        taken += scene.buckets.take("ann", 3).is_taken
        assert taken <= get_burst(3) + 3 * (scene.seconds - begun) + 1e-3
    assert taken >= 3 * (scene.seconds - begun)  # and no less, because there was always demand


def test_buckets_are_apart() -> None:
    scene = Scene()
    scene.drain("ann", 1)
    assert scene.buckets.take("bob", 1).remaining == 9


def test_another_rate_keeps_the_share_that_is_left() -> None:
    scene = Scene()
    scene.drain("ann", 1)
    assert not scene.buckets.take("ann", 100).is_taken
    scene.seconds += 1
    assert scene.drain("ann", 100) == 100


def test_a_token_can_be_given_back() -> None:
    scene = Scene()
    scene.drain("ann", 1)
    scene.buckets.give_back("ann", 1)
    scene.buckets.give_back("nobody", 1)
    assert scene.drain("ann", 1) == 1


def test_full_buckets_are_forgotten() -> None:
    scene = Scene(most=1000)
    for number in range(1000):
        scene.buckets.take(f"a{number}", 1)
    assert len(scene.buckets) == 1000
    scene.seconds += 1
    for number in range(1000):
        scene.buckets.take(f"b{number % 500}", 1)
        assert len(scene.buckets) <= 1000
    assert len(scene.buckets) == 500


@pytest.mark.slow
def test_a_hundred_thousand_addresses_fill_no_memory_and_reset_no_bucket() -> None:
    scene = Scene(most=1000)
    assert scene.drain("busy", 1) == 10
    for number in range(100_000):
        scene.buckets.take(f"{number}", 1)
        assert len(scene.buckets) <= 1000
    assert not scene.buckets.take("busy", 1).is_taken
    assert len(scene.buckets._order) == len(scene.buckets)


def test_many_requests_of_others_reset_no_emptier_bucket() -> None:
    scene, numbers = Scene(most=50), random.Random(3)
    assert scene.drain("busy", 1) == 10
    for _ in range(20_000):
        scene.seconds += 0.00001
        name = f"{numbers.randrange(200)}"
        if scene.buckets.take(name, 1).remaining > 2:
            scene.buckets.take(name, 1)
    assert scene.drain("busy", 1) == 0


def test_threads_take_each_token_once() -> None:
    buckets, begun = Buckets(), time.monotonic()
    taken: list[bool] = []

    def take() -> None:
        taken.extend(buckets.take("ann", 5).is_taken for _ in range(50))

    threads = [threading.Thread(target=take) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get_burst(5) <= sum(taken) <= get_burst(5) + 5 * (time.monotonic() - begun)
