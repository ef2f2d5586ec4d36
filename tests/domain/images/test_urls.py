"""A signed url is good for what it was made for, for a while, and for nothing else."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.domain.access.signing import Signer
from app.domain.errors import Forbidden, Malformed
from app.domain.ids import new_id
from app.domain.images import urls
from app.domain.images.urls import FILE_LIFE, FileSeal, ServedFiles
from app.domain.keys import original_key
from app.domain.models import Format, Image, Variant, utcnow
from app.domain.uploads import grants
from app.domain.uploads.grants import CHECKSUM, ServedGrants, grant_headers

SIGNER = Signer(b"a secret of enough bytes")
SEAL = FileSeal(SIGNER)
VARIANT = Variant(name="w320", format=Format.WEBP, width=1, height=1, bytes=1, file="w320.webp")


def image(**fields: object) -> Image:
    now = utcnow()
    usual = {
        "id": new_id(), "owner": "ann", "content_type": "image/jpeg", "declared_content_type": "image/jpeg", "bytes": 5,
        "uploaded_at": now, "updated_at": now, "rendering_id": "r1",
    }  # fmt: skip
    return Image.model_validate(usual | fields)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def test_without_a_seal_urls_are_plain_and_absolute_when_the_address_is_known() -> None:
    shown = image()
    assert ServedFiles().variant(shown, VARIANT) == f"/files/processed/{shown.id}/r1/w320.webp"
    assert (
        ServedFiles("https://img.example.org/").original(shown) == f"https://img.example.org/files/originals/{shown.id}"
    )


def test_a_sealed_url_is_good_for_its_key_and_a_while() -> None:
    shown = image()
    url = ServedFiles(seal=SEAL).original(shown)
    query = query_of(url)
    left = SEAL.check(original_key(shown.id), query["expires"], query["signature"])
    assert FILE_LIFE <= left <= 2 * FILE_LIFE
    assert ServedFiles(seal=SEAL).original(shown) == url  # the same for a while, so that browsers keep the bytes


@pytest.mark.parametrize(
    ("name", "value"),
    [("expires", "99999999999"), ("expires", ""), ("expires", "²"), ("signature", "AAAA"), ("signature", "")],
)
def test_an_altered_url_is_refused(name: str, value: str) -> None:
    key = original_key(new_id())
    query = dict(parse_qsl(SEAL.query(key))) | {name: value}
    with pytest.raises(Forbidden) as refusal:
        SEAL.check(key, query["expires"], query["signature"])
    assert refusal.value.code == "bad_signature"


def test_a_url_moved_to_another_key_is_refused() -> None:
    query = dict(parse_qsl(SEAL.query(original_key(new_id()))))
    with pytest.raises(Forbidden):
        SEAL.check(original_key(new_id()), query["expires"], query["signature"])


def test_an_expired_url_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    key = original_key(new_id())
    query = dict(parse_qsl(SEAL.query(key)))
    later = utcnow() + timedelta(seconds=2 * FILE_LIFE + 1)
    monkeypatch.setattr(urls, "utcnow", lambda: later)
    with pytest.raises(Forbidden) as refusal:
        SEAL.check(key, query["expires"], query["signature"])
    assert refusal.value.code == "url_expired"


def test_a_grant_is_for_these_bytes_of_this_type() -> None:
    wanted = image(sha256="ab" * 32)
    url, headers = ServedGrants(SIGNER).grant(wanted, timedelta(minutes=5))
    assert headers == grant_headers(wanted)
    granted = ServedGrants(SIGNER).granted(original_key(wanted.id), query_of(url))
    granted.check("5", headers)
    granted.check_content("ab" * 32)
    with pytest.raises(Malformed):
        granted.check_content("cd" * 32)
    for length in (None, "", "4", "6", "+5", "٥"):
        with pytest.raises(Forbidden):
            granted.check(length, headers)
    for name in headers:
        with pytest.raises(Forbidden):
            granted.check("5", {other: value for other, value in headers.items() if other != name})
        with pytest.raises(Forbidden):
            granted.check("5", headers | {name: "other"})


def test_without_a_checksum_any_bytes_of_that_length_do() -> None:
    wanted = image()
    url, headers = ServedGrants(SIGNER).grant(wanted, timedelta(minutes=5))
    assert CHECKSUM not in headers
    ServedGrants(SIGNER).granted(original_key(wanted.id), query_of(url)).check_content("cd" * 32)


@pytest.mark.parametrize("name", ["bytes", "type", "checksum", "expires", "signature"])
def test_an_altered_grant_is_refused(name: str) -> None:
    wanted = image(sha256="ab" * 32)
    query = query_of(ServedGrants(SIGNER).grant(wanted, timedelta(minutes=5))[0])
    key = original_key(wanted.id)
    for altered in (query | {name: "7"}, {k: v for k, v in query.items() if k != name}, query | {"more": "1"}):
        with pytest.raises(Forbidden):
            ServedGrants(SIGNER).granted(key, altered)
    with pytest.raises(Forbidden):
        ServedGrants(SIGNER).granted(original_key(new_id()), query)


def test_an_expired_grant_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = image()
    query = query_of(ServedGrants(SIGNER).grant(wanted, timedelta(minutes=5))[0])
    later = utcnow() + timedelta(minutes=5, seconds=1)
    monkeypatch.setattr(grants, "utcnow", lambda: later)
    with pytest.raises(Forbidden) as refusal:
        ServedGrants(SIGNER).granted(original_key(wanted.id), query)
    assert refusal.value.code == "url_expired"


def test_a_url_signed_before_the_clock_was_set_back_is_no_longer_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a url that was signed while the clock was a year ahead would be valid for a year."""
    key = original_key(new_id())
    ahead = utcnow() + timedelta(days=365)
    with monkeypatch.context() as patched:
        patched.setattr(urls, "utcnow", lambda: ahead)
        query = dict(parse_qsl(SEAL.query(key)))
    with pytest.raises(Forbidden) as refusal:
        SEAL.check(key, query["expires"], query["signature"])
    assert refusal.value.code == "url_expired"


@pytest.mark.parametrize(("ahead", "valid"), [(timedelta(minutes=1), True), (timedelta(days=365), False)])
def test_a_grant_given_before_the_clock_was_set_back(
    monkeypatch: pytest.MonkeyPatch, ahead: timedelta, valid: bool
) -> None:
    wanted = image()
    then = utcnow() + ahead
    with monkeypatch.context() as patched:
        patched.setattr(grants, "utcnow", lambda: then)
        query = query_of(ServedGrants(SIGNER).grant(wanted, timedelta(minutes=5))[0])
    if valid:  # a small correction of the clock ends no ticket
        assert ServedGrants(SIGNER).granted(original_key(wanted.id), query).bytes == wanted.bytes
        return
    with pytest.raises(Forbidden) as refusal:
        ServedGrants(SIGNER).granted(original_key(wanted.id), query)
    assert refusal.value.code == "url_expired"
