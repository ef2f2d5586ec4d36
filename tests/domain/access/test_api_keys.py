"""Keys are known by their hashes, belong to one owner, and are good for their scopes alone."""

import re

import pytest

from app.domain.access.api_keys import ANONYMOUS_CALLER, ApiKey, Caller, Scope, hash_key, new_key, parse_keys
from app.domain.access.keyring import Keyring
from app.domain.access.own_limits import OwnLimits
from app.domain.errors import Forbidden, Unauthorized
from app.domain.quota.usage import Quota

HASH = "ab" * 32


def test_a_new_key_lets_its_owner_in_and_is_not_in_its_entry() -> None:
    key, entry = new_key("ann", [Scope.UPLOAD, Scope.READ])
    assert re.fullmatch(r"dk_[A-Za-z0-9_-]{43}", key)
    assert key not in str(entry)
    assert parse_keys(str(entry)) == [entry]
    caller = Keyring([entry]).caller(key)
    assert (caller.owner, caller.scopes) == ("ann", {Scope.UPLOAD, Scope.READ})
    assert new_key("ann", [Scope.READ])[0] != key


@pytest.mark.parametrize("presented", ["", "dk_wrong", HASH, "é", "\ud800", "x" * 100_000])
def test_no_other_key_does(presented: str) -> None:
    _, entry = new_key("ann", [Scope.READ])
    with pytest.raises(Unauthorized):
        Keyring([entry]).caller(presented)


def test_the_hash_of_a_key_is_no_key() -> None:
    key, entry = new_key("ann", [Scope.READ])
    with pytest.raises(Unauthorized):
        Keyring([entry]).caller(entry.sha256)
    assert entry.sha256 == hash_key(key)


def test_a_caller_needs_the_scope_and_admin_has_them_all() -> None:
    reader = Caller("ann", frozenset({Scope.READ}))
    reader.require(Scope.READ)
    for scope in (Scope.UPLOAD, Scope.DELETE, Scope.ADMIN):
        with pytest.raises(Forbidden, match=scope):
            reader.require(scope)
    admin = Caller("root", frozenset({Scope.ADMIN}))
    for scope in Scope:
        admin.require(scope)
    assert (reader.visible_owner, admin.visible_owner, ANONYMOUS_CALLER.visible_owner) == ("ann", None, "anonymous")


def test_entries_are_separated_by_commas_or_lines() -> None:
    text = f" ann:read+upload:{HASH},\n bob:admin:{'cd' * 32}\n"
    assert parse_keys(text) == [
        ApiKey("ann", frozenset({Scope.READ, Scope.UPLOAD}), HASH),
        ApiKey("bob", frozenset({Scope.ADMIN}), "cd" * 32),
    ]
    assert parse_keys("") == []


def test_limits_of_a_key_follow_its_hash() -> None:
    limits = {
        "": OwnLimits(),
        ":rate_limit=5": OwnLimits(5),
        ":rate_limit=0.25:quota_images=100": OwnLimits(0.25, None, 100),
        ":rate_limit=0:quota_bytes=10000000000:quota_images=0": OwnLimits(0, 10_000_000_000, 0),
    }
    for text, expected in limits.items():
        (entry,) = parse_keys(f"ann:read:{HASH}{text}")
        assert (entry.own_limits, entry.caller.own_limits) == (expected, expected)
        assert str(entry) == f"ann:read:{HASH}{text}"
    (entry,) = parse_keys(f"ann:read:{HASH}:quota_images=7:rate_limit=5.0")
    assert parse_keys(str(entry)) == [entry]
    key, entry = new_key("ann", [Scope.READ], OwnLimits(quota_bytes=5))
    assert Keyring([entry]).caller(key).own_limits == OwnLimits(quota_bytes=5)


def test_the_quota_of_a_key_replaces_that_of_the_installation() -> None:
    default = Quota(1000, None)
    counted = {"is_counted": True}
    assert OwnLimits().quota(default) == Quota(1000, None, **counted)
    assert OwnLimits(quota_bytes=5, quota_images=6).quota(default) == Quota(5, 6, **counted)
    assert OwnLimits(quota_bytes=0).quota(default) == Quota(None, None, **counted)
    assert OwnLimits().quota(Quota()) == Quota()
    assert OwnLimits(quota_images=1).quota(Quota()) == Quota(None, 1, **counted)


@pytest.mark.parametrize(
    "limits",
    [
        "", "x", "rate_limit", "rate_limit=", "rate_limit=x", "rate_limit=-1", "rate_limit=1e3", "rate_limit=0.01",
        "rate_limit=10001", "rate_limit=nan", "quota_bytes=1.5", "quota_bytes=-1", "quota_images=99999999999999999",
        "rate_limit=1:rate_limit=1", "scopes=1", "dk_the-key-itself", "rate_limit=dk_the-key-itself",
    ],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused(limits: str) -> None:
    with pytest.raises(ValueError, match=r"entry 1: .*(rate_limit|quota)") as refusal:
        parse_keys(f"ann:read:{HASH}:{limits}")
    assert HASH not in str(refusal.value)
    assert "the-key-itself" not in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        f"anonymous:read:{HASH}",
        f":read:{HASH}",
        f"a b:read:{HASH}",
        f"ann/x:read:{HASH}",
        f"ann::{HASH}",
        f"ann:write:{HASH}",
        f"ann:read+:{HASH}",
        "ann:read:",
        f"ann:read:{HASH.upper()}",
        f"ann:read:{HASH}0",
        "ann:read:dk_the-key-itself",
        f"ann:read:{HASH},bob:read:{HASH}",
        HASH,
        "dk_the-key-itself",
        "ann:dk_the-key-itself",
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_without_its_hash(text: str) -> None:
    with pytest.raises(ValueError, match="entry") as refusal:
        parse_keys(text)
    assert HASH not in str(refusal.value)
    assert "the-key-itself" not in str(refusal.value)


@pytest.mark.parametrize("text", ["dk_something", "ann", "ann:read", f"ann:read:{HASH},bob"])
def test_an_entry_of_another_form_is_told_the_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"entry \d: must be `<owner>:<scope>\+<scope>:<sha256 hex>`"):
        parse_keys(text)
