"""Signatures of share links."""

from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from app.domain.access.signing import Signer
from app.domain.errors import Forbidden
from app.domain.ids import new_id
from app.domain.images import sharing
from app.domain.images.sharing import MAX_SECONDS, ShareLinks
from app.domain.models import utcnow

OLD = Signer(b"the secret that signed before")
NEW = Signer(b"the secret that signs from now on", [b"the secret that signed before"])
IMAGE = new_id()


def signed(signer: Signer = NEW, variant: str | None = "w320", expires_at: datetime | None = None) -> dict[str, str]:
    ends = expires_at or utcnow() + timedelta(seconds=60)
    return dict(parse_qsl(ShareLinks(signer).query(IMAGE, variant, ends)))


def refusal_of(image_id: str, variant: str | None, query: dict[str, str], signer: Signer = NEW) -> str | None:
    try:
        ShareLinks(signer).check(image_id, variant, query["expires"], query["signature"])
    except Forbidden as refused:
        return refused.code
    return None


@pytest.mark.parametrize("variant", ["w320", None])
def test_a_link_is_valid_for_its_image_and_variant(variant: str | None) -> None:
    query = signed(variant=variant)
    assert refusal_of(IMAGE, variant, query) is None
    assert refusal_of(new_id(), variant, query) == "bad_signature"
    for other in {"w320", "w640", None} - {variant}:
        assert refusal_of(IMAGE, other, query) == "bad_signature"


@pytest.mark.parametrize(
    ("name", "value"),
    [("expires", "1999999999"), ("expires", ""), ("expires", "²"), ("expires", "-1"), ("expires", "9" * 30),
     ("signature", ""), ("signature", "AAAA"), ("signature", "é.ü")],
)  # fmt: skip
def test_an_altered_link_is_refused(name: str, value: str) -> None:
    assert refusal_of(IMAGE, "w320", signed() | {name: value}) == "bad_signature"


def test_a_signature_for_another_purpose_is_refused() -> None:
    query = signed()
    query["signature"] = NEW.sign("file", f"{IMAGE}\nw320\n{query['expires']}")
    assert refusal_of(IMAGE, "w320", query) == "bad_signature"


def test_a_link_of_the_previous_secret_is_valid_and_one_of_an_unknown_secret_is_not() -> None:
    assert refusal_of(IMAGE, "w320", signed(OLD)) is None
    assert refusal_of(IMAGE, "w320", signed(NEW), OLD) == "bad_signature"


@pytest.mark.parametrize(
    ("later", "code"),
    [
        (timedelta(seconds=59), None),
        (timedelta(seconds=61), "url_expired"),
        (-timedelta(seconds=MAX_SECONDS + 600), "url_expired"),  # the clock was set back
    ],
)
def test_a_link_expires(monkeypatch: pytest.MonkeyPatch, later: timedelta, code: str | None) -> None:
    now = utcnow()
    query = signed(expires_at=now + timedelta(seconds=60))
    monkeypatch.setattr(sharing, "utcnow", lambda: now + later)
    assert refusal_of(IMAGE, "w320", query) == code
