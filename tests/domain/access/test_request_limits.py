"""Rate limits of callers: their buckets, and guesses of keys."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.domain.access.api_keys import ANONYMOUS_CALLER, Caller, Scope, new_key
from app.domain.access.keyring import Keyring
from app.domain.access.own_limits import OwnLimits
from app.domain.access.request_limits import MAX_KEYS, RequestLimits, read_network
from app.domain.access.token_buckets import Standing
from app.domain.errors import Unauthorized, Unavailable

HERE, THERE = "203.0.113.5", "203.0.113.6"


class Refused(Exception):
    """There was no token."""


def note(standing: Standing | None) -> None:
    if standing is not None and not standing.is_taken:
        raise Refused


@contextmanager
def rejected() -> Iterator[None]:
    with pytest.raises(Unauthorized):
        yield


def limits(rate: float | None = 1) -> RequestLimits:
    return RequestLimits(rate, lambda: 0.0)


def take(found: RequestLimits, caller: Caller, address: str = HERE) -> bool:
    standing = found.take(caller, address)
    return standing is None or standing.is_taken


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("198.51.100.1, 203.0.113.5", "203.0.113.5"),
        ("", "unknown"),
        (None, "unknown"),
        ("testclient", "unknown"),
        ("203.0.113.5, spoofed", "unknown"),
    ],
)
def test_an_address_has_a_network(address: str | None, network: str) -> None:
    assert read_network(address) == network


def test_keys_and_addresses_have_buckets_of_their_own() -> None:
    found = limits()
    ann, bob = (Caller(owner, frozenset({Scope.READ}), key_id=owner) for owner in ("ann", "bob"))
    assert [take(found, ann) for _ in range(11)] == [True] * 10 + [False]
    assert take(found, bob)
    assert take(found, ANONYMOUS_CALLER)
    assert [take(found, ANONYMOUS_CALLER, THERE) for _ in range(11)] == [True] * 10 + [False]
    assert take(found, ANONYMOUS_CALLER, HERE)


def test_a_key_has_its_own_rate_or_none() -> None:
    def caller(rate: float | None) -> Caller:
        return Caller("ann", frozenset(), key_id=f"{rate}", own_limits=OwnLimits(rate_limit=rate))

    for rate, default, burst in ((None, 1, 10), (3, 1, 30), (0, 1, None), (None, None, None), (3, None, 30)):
        found = limits(default)
        assert sum(take(found, caller(rate)) for _ in range(100)) == (burst or 100)


def test_wrong_keys_count_for_their_address_and_valid_ones_do_not() -> None:
    found, (key, entry) = limits(), new_key("ann", [Scope.READ])
    ring = Keyring([entry])

    def look_up(presented: str, address: str = HERE) -> Caller:
        with found.checking(presented, address, note):
            return ring.caller(presented)

    for _ in range(100):
        look_up(key)
    for number in range(10):
        with rejected():
            look_up(f"dk_{number}")
    for _ in range(3):
        with pytest.raises(Refused):
            look_up("dk_another")
    look_up(key)
    with rejected():
        look_up("", THERE)


def test_an_address_that_guesses_cannot_try_keys_that_were_never_used() -> None:
    found, (key, entry) = limits(), new_key("ann", [Scope.READ])
    looked_up: list[str] = []

    def look_up(presented: str) -> None:
        with found.checking(presented, HERE, note):
            looked_up.append(presented)
            Keyring([entry]).caller(presented)

    for number in range(10):
        with rejected():
            look_up(f"dk_{number}")
    with pytest.raises(Refused):
        look_up(key)
    assert key not in looked_up


def test_a_key_that_has_ended_counts_as_a_wrong_one() -> None:
    found, (key, entry) = limits(), new_key("ann", [Scope.READ])
    ring = Keyring([entry])

    def look_up() -> None:
        with found.checking(key, HERE, note):
            ring.caller(key)

    look_up()
    ring = Keyring([])
    for _ in range(10):
        with rejected():
            look_up()
    with pytest.raises(Refused):
        look_up()


def test_a_store_that_does_not_answer_is_no_wrong_key() -> None:
    found = limits()
    for _ in range(20):
        with pytest.raises(Unavailable), found.checking("dk_x", HERE, note):
            raise Unavailable("down")


def test_the_keys_that_are_remembered_are_bounded() -> None:
    found = limits(1000)
    for number in range(MAX_KEYS + 100):
        with found.checking(f"dk_{number}", HERE, note):
            pass
    assert len(found._accepted) == MAX_KEYS


def test_without_a_rate_wrong_keys_are_not_counted() -> None:
    found = limits(None)
    for _ in range(100):
        with rejected(), found.checking("dk_x", HERE, note):
            raise Unauthorized("key_unknown", "Unknown API key.")
    assert len(found._networks) == 0
