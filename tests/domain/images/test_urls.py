"""A signed url is good for what it was made for, for a while, and for nothing else."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.domain.access.file_seal import FileSeal
from app.domain.access.signing import Signer
from app.domain.errors import Forbidden, Malformed
from app.domain.ids import new_id
from app.domain.images.urls import ServedFiles
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


def public(**fields: object) -> Image:
    return image(visibility="public", placed="public", **fields)


def test_variants_of_public_images_have_plain_urls() -> None:
    shown = public()
    path = f"/files/processed/public/{shown.id}/r1/w320.webp"
    assert ServedFiles(SEAL).variant(shown, VARIANT) == path
    assert ServedFiles(SEAL, "https://img.example.org/").variant(shown, VARIANT) == f"https://img.example.org{path}"
    assert (ServedFiles(SEAL).edition(shown), ServedFiles(SEAL).expires_at(shown)) == ("", None)


@pytest.mark.parametrize("fields", [{}, {"visibility": "public"}, {"placed": "public"}])
def test_all_other_urls_are_signed(fields: dict[str, str]) -> None:
    shown = image(**fields)
    folder = "processed/public" if fields.get("placed") else "processed"
    url = urlsplit(ServedFiles(SEAL).variant(shown, VARIANT))
    assert url.path == f"/files/{folder}/{shown.id}/r1/w320.webp"
    query = query_of(url.geturl())
    expires_at = ServedFiles(SEAL).expires_at(shown)
    assert expires_at is not None
    assert query["expires"] == str(int(expires_at.timestamp()))
    SEAL.check(url.path.removeprefix("/files/"), query["expires"], query["signature"])
    assert "signature=" in ServedFiles(SEAL).original(public())


@pytest.mark.parametrize("seconds", [60, 61, 3600, 604_800])
@pytest.mark.parametrize("now", [1_770_000_000, 1_770_000_029.9, 1_770_123_456.7])
def test_a_signed_url_lives_as_the_settings_say(seconds: int, now: float) -> None:
    seal = FileSeal(SIGNER, seconds, lambda: now)
    query = dict(parse_qsl(seal.query("originals/a")))
    left = seal.check("originals/a", query["expires"], query["signature"])
    assert seconds / 2 <= left <= seconds


def test_a_signed_url_and_its_edition_stay_the_same_for_half_of_its_life() -> None:
    start = 1_770_000_000 // 1800 * 1800
    seals = [FileSeal(SIGNER, 3600, lambda now=start + age: now) for age in (0, 1799.9, 1800)]  # type: ignore[misc]
    queries, editions = ([call(seal) for seal in seals] for call in (lambda s: s.query("a"), FileSeal.edition))
    assert queries[0] == queries[1] != queries[2]
    assert editions[0] == editions[1] != editions[2]


def test_another_secret_is_another_edition() -> None:
    assert FileSeal(Signer(b"another secret of some bytes"), clock=lambda: 0).edition() != EPOCH.edition()


EPOCH = FileSeal(SIGNER, clock=lambda: 0)


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


@pytest.mark.parametrize(
    "later",
    [
        3601,
        -365 * 86400,  # else a url that was signed while the clock was a year ahead would be valid for a year
    ],
)
def test_a_url_is_refused_after_its_end_and_when_the_clock_was_set_back(later: int) -> None:
    now = 1_770_000_000
    query = dict(parse_qsl(FileSeal(SIGNER, 3600, lambda: now).query("originals/a")))
    with pytest.raises(Forbidden) as refusal:
        FileSeal(SIGNER, 3600, lambda: now + later).check("originals/a", query["expires"], query["signature"])
    assert refusal.value.code == "url_expired"


def test_a_lower_setting_ends_longer_urls() -> None:
    query = dict(parse_qsl(FileSeal(SIGNER, 604_800).query("originals/a")))
    with pytest.raises(Forbidden) as refusal:
        FileSeal(SIGNER, 3600).check("originals/a", query["expires"], query["signature"])
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
