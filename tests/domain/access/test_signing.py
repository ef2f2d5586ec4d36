"""Cursors and signatures are good for what they were made for, and nothing else."""

import pytest

from app.domain.access.signing import Cursors, Signer
from app.domain.errors import Malformed

SIGNER = Signer(b"a secret of enough bytes")
QUERY = {"owner": "anonymous", "status": "ready", "order": "desc"}


def test_a_cursor_gives_its_position_back() -> None:
    cursors = Cursors(SIGNER)
    cursor = cursors.write("0190-some-id", QUERY)
    assert cursors.read(cursor, dict(reversed(QUERY.items()))) == "0190-some-id"
    assert "0190-some-id" not in cursor


@pytest.mark.parametrize("changed", [{"owner": "other"}, {"status": "failed"}, {"order": "asc"}, {"tag": "x"}])
def test_a_cursor_is_bound_to_its_query(changed: dict[str, str]) -> None:
    cursors = Cursors(SIGNER)
    with pytest.raises(Malformed) as refusal:
        cursors.read(cursors.write("id", QUERY), QUERY | changed)
    assert refusal.value.code == "bad_cursor"


@pytest.mark.parametrize("forged", ["", ".", "x", "aWQ.", "aWQ.AAAA", "é.é", "a" * 100_000, "\ud800.x", "aWQ=.x"])
def test_a_forged_cursor_is_refused(forged: str) -> None:
    with pytest.raises(Malformed):
        Cursors(SIGNER).read(forged, QUERY)


def test_a_cursor_of_another_secret_is_refused() -> None:
    foreign = Cursors(Signer(b"another secret of some bytes")).write("id", QUERY)
    with pytest.raises(Malformed):
        Cursors(SIGNER).read(foreign, QUERY)


def test_a_signature_is_good_for_one_purpose_and_one_text() -> None:
    signature = SIGNER.sign("file", "a")
    assert SIGNER.verify("file", "a", signature)
    assert not SIGNER.verify("file", "b", signature)
    assert not SIGNER.verify("cursor", "a", signature)
    assert not SIGNER.verify("file", "a", signature[:-1])


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Signer(b"short")


OLD, NEW = b"the secret that signed before", b"the secret that signs from now on"


def test_signatures_of_the_previous_secret_stay_valid() -> None:
    rotated = Signer(NEW, [OLD])
    before = Signer(OLD).sign("file", "a")
    assert rotated.verify("file", "a", before)
    assert Signer(NEW).verify("file", "a", rotated.sign("file", "a"))
    assert not Signer(NEW).verify("file", "a", before)
    assert not rotated.verify("file", "b", before)
    assert not rotated.verify("cursor", "a", before)
    cursor = Cursors(Signer(OLD)).write("id", QUERY)
    assert Cursors(rotated).read(cursor, QUERY) == "id"


def test_a_signature_names_its_key_without_revealing_the_secret() -> None:
    key_id, _, code = Signer(OLD).sign("file", "a").partition(".")
    assert key_id == Signer(OLD).key_id != Signer(NEW).key_id
    assert len(key_id) == 8
    assert OLD.hex() not in key_id + code


def test_a_code_under_another_key_id_is_refused() -> None:
    rotated = Signer(NEW, [OLD])
    code = Signer(OLD).sign("file", "a").partition(".")[2]
    for key_id in (Signer(NEW).key_id, Signer(b"a secret from elsewhere").key_id, "", "\ud800"):
        assert not rotated.verify("file", "a", f"{key_id}.{code}")
    assert not rotated.verify("file", "a", code)


def test_a_short_previous_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Signer(NEW, [b"short"])
