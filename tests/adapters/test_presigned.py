"""Presigned urls: those that the SDK would make, for a moment that stays the same for a while."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import CredentialRetrievalError
from botocore.session import Session

from app.adapters.s3 import s3_client
from app.adapters.s3.grants import PresignedGrants
from app.adapters.s3.presign import Presigner
from app.adapters.s3.urls import PresignedUrls
from app.domain.access.file_seal import SIGNED_URL_SECONDS
from app.domain.errors import Unavailable
from app.domain.models import Format, Variant, Visibility
from tests.contract.records import an_image
from tests.engines import REGION

LIFE = SIGNED_URL_SECONDS
WINDOW = LIFE // 2
WINDOW_START = 1_770_000_000 // WINDOW * WINDOW
RESPONSE = {
    "response-content-type": "image/svg+xml; charset=utf-8",
    "response-content-disposition": "attachment; filename=\"na_ve 'q' ~.jpg\"; filename*=UTF-8''na%C3%AFve%20%2B.jpg",
    "response-cache-control": "private, max-age=900",
}
IMAGE = an_image(filename="é.jpg", rendering_id="ab12")
PUBLIC = IMAGE.model_copy(update={"visibility": Visibility.PUBLIC, "placed": Visibility.PUBLIC})
THUMB = Variant(name="thumb", format=Format.WEBP, width=1, height=1, bytes=1, file="thumb.webp")


def session_in(region: str) -> Session:
    session = Session()
    session.set_credentials("AKID", "secret")
    session.set_config_variable("region", region)
    return session


@cache
def client_of(endpoint: str | None = None, style: str = "virtual", token: str | None = None) -> Any:
    session = boto3.session.Session("AKID", "secret/+", token, region_name=REGION)
    return session.client(
        "s3", endpoint_url=endpoint, config=Config(signature_version="s3v4", s3={"addressing_style": style})
    )


def presigner_of(client: Any, token: str | None = None, now: float = WINDOW_START) -> Presigner:
    return Presigner(client, "my-pictures", Credentials("AKID", "secret/+", token), lambda: now)


@pytest.mark.parametrize("token", [None, "IQoJb3JpZ2luX2Vj//+=="])
@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:8333", "https://store.example.org"])
@pytest.mark.parametrize("key", ["originals/019a", "processed/a_b/c-d/w~320.v1.webp", "originals/a b+c"])
def test_they_are_the_sdks(monkeypatch: pytest.MonkeyPatch, token: str | None, endpoint: str | None, key: str) -> None:
    moment = datetime.fromtimestamp(WINDOW_START, UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: moment)
    client = client_of(endpoint, "auto" if endpoint else "virtual", token)
    parameters = {"Bucket": "my-pictures", "Key": key} | {
        "Response" + "".join(word.title() for word in name.split("-")[1:]): value for name, value in RESPONSE.items()
    }
    theirs = urlsplit(client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=LIFE))
    ours = urlsplit(presigner_of(client, token).get(key, RESPONSE))
    assert ours[:3] == theirs[:3]
    assert sorted(parse_qsl(ours.query)) == sorted(parse_qsl(theirs.query))


def test_a_url_for_head_is_the_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime.fromtimestamp(WINDOW_START, UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: moment)
    client = client_of()
    theirs = urlsplit(client.generate_presigned_url("head_object", {"Bucket": "my-pictures", "Key": "a"}, LIFE))
    ours = urlsplit(presigner_of(client).sign("HEAD", "a", {}))
    assert ours[:3] == theirs[:3]
    assert sorted(parse_qsl(ours.query)) == sorted(parse_qsl(theirs.query))
    assert ours.query != urlsplit(presigner_of(client).get("a", {})).query


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1", "ap-southeast-4"])
def test_they_name_the_buckets_region(region: str) -> None:
    client = s3_client(session_in(region), Config())
    for url in (
        presigner_of(client).get("originals/a", {}),
        PresignedGrants(client, "my-pictures").grant(IMAGE, timedelta(minutes=5))[0],
    ):
        assert urlsplit(url).netloc == f"my-pictures.s3.{region}.amazonaws.com"
        assert f"%2F{region}%2Fs3%2F" in url


def test_elsewhere_they_name_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://store.example.org")
    client = s3_client(session_in(REGION), Config())
    for url in (
        presigner_of(client).get("originals/a", {}),
        PresignedGrants(client, "my-pictures").grant(IMAGE, timedelta(minutes=5))[0],
    ):
        assert url.startswith("https://store.example.org/my-pictures/originals/")
        assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url


def test_they_stay_the_same_for_a_window_and_leave_time_enough() -> None:
    client = client_of()
    at = {age: presigner_of(client, now=WINDOW_START + age) for age in (0, 1, WINDOW - 0.001, WINDOW)}
    urls = [presigner.get("originals/a", RESPONSE) for presigner in at.values()]
    assert urls[0] == urls[1] == urls[2] != urls[3]
    editions = [PresignedUrls(presigner).edition(IMAGE) for presigner in at.values()]
    assert editions[0] == editions[1] == editions[2] != editions[3]
    for age, presigner in at.items():
        date = dict(parse_qsl(presigner.get("a", {})))["X-Amz-Date"]
        signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        left = signed.timestamp() + LIFE - (WINDOW_START + age)
        assert LIFE / 2 <= left <= LIFE
        expires_at = PresignedUrls(presigner).expires_at(IMAGE)
        assert expires_at is not None
        assert expires_at.timestamp() == signed.timestamp() + LIFE


@pytest.mark.parametrize("seconds", [60, 61, 3600, 604_800])
def test_their_life_is_that_of_the_settings(seconds: int) -> None:
    for now in (WINDOW_START, WINDOW_START + 29.9, WINDOW_START + seconds / 2 - 0.1, WINDOW_START + 123_456.7):
        presigner = Presigner(client_of(), "b", Credentials("A", "b"), lambda now=now: now, seconds)  # type: ignore[misc]
        query = dict(parse_qsl(presigner.get("a", {})))
        assert query["X-Amz-Expires"] == str(seconds)
        assert seconds / 2 <= presigner.expires() - int(now) <= seconds


def test_credentials_are_asked_for_each_time() -> None:
    class Exchanged:
        """Credentials that change, and at last cannot be had."""

        def __init__(self) -> None:
            self.left = [Credentials("B", "b", "tb"), Credentials("A", "a", "ta")]

        def get_frozen_credentials(self) -> Any:
            if not self.left:
                raise CredentialRetrievalError(provider="tests", error_msg="no")
            return self.left.pop().get_frozen_credentials()

    presigner = Presigner(client_of(), "my-pictures", Exchanged())
    tokens = [dict(parse_qsl(presigner.get("a", {})))["X-Amz-Security-Token"] for _ in range(2)]
    assert tokens == ["ta", "tb"]
    for without in (presigner, Presigner(client_of(), "my-pictures", None)):
        with pytest.raises(Unavailable):
            without.get("a", {})


def test_a_variant_is_shown_and_an_original_is_saved() -> None:
    urls = PresignedUrls(presigner_of(client_of()))
    shown = dict(parse_qsl(urlsplit(urls.variant(IMAGE, THUMB)).query))
    assert shown["response-content-type"] == "image/webp"
    assert shown["response-cache-control"].startswith("private")
    assert "response-content-disposition" not in shown
    size = dict(parse_qsl(urlsplit(urls.size(IMAGE, "w640-q75.jxl")).query))
    assert size["response-cache-control"].startswith("private")
    assert "response-content-type" not in size, "it may be WebP"
    saved = dict(parse_qsl(urlsplit(urls.original(IMAGE)).query))
    assert saved["response-content-disposition"].startswith("attachment")
    assert saved["response-cache-control"] == "private"
    assert urlsplit(urls.original(IMAGE)).path == f"/originals/{IMAGE.id}"


def test_public_variants_are_the_cdns_where_there_is_one_and_originals_never() -> None:
    urls = PresignedUrls(presigner_of(client_of()), "https://d1.cloudfront.net")
    assert urls.variant(PUBLIC, THUMB) == f"https://d1.cloudfront.net/processed/public/{IMAGE.id}/ab12/thumb.webp"
    assert (urls.edition(PUBLIC), urls.expires_at(PUBLIC)) == ("", None)
    assert "X-Amz-Signature" in urls.original(PUBLIC)


@pytest.mark.parametrize("cdn_url", [None, "https://d1.cloudfront.net"])
def test_private_variants_are_presigned(cdn_url: str | None) -> None:
    urls = PresignedUrls(presigner_of(client_of()), cdn_url)
    shown = urlsplit(urls.variant(IMAGE, THUMB))
    assert shown.path == f"/processed/{IMAGE.id}/ab12/thumb.webp"
    assert "X-Amz-Signature" in shown.query
    assert urls.edition(IMAGE)
    assert urls.expires_at(IMAGE) is not None


def test_without_a_cdn_public_variants_are_presigned_where_they_lie() -> None:
    urls = PresignedUrls(presigner_of(client_of()))
    shown = urlsplit(urls.variant(PUBLIC, THUMB))
    assert shown.path == f"/processed/public/{IMAGE.id}/ab12/thumb.webp"
    assert "X-Amz-Signature" in shown.query
    assert urls.edition(PUBLIC) == ""
    assert urls.expires_at(PUBLIC) is not None
