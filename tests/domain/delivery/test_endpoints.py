"""Secrets of endpoints and their rotation, and the checks of what an admin asks for."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.access.signing import Signer
from app.domain.delivery.endpoint_fields import EndpointFields
from app.domain.delivery.endpoints import (
    ROTATION_GRACE,
    EndpointSecrets,
    WebhookEndpoint,
    is_endpoint_id,
    new_endpoint_id,
    rotate_secret,
)
from app.domain.delivery.targets import URL_CHARACTERS
from app.domain.errors import Invalid

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
OLD, NEW = b"an older secret of tests", b"a newer secret of tests"


FIELDS = EndpointFields()


def an_endpoint(**fields: Any) -> WebhookEndpoint:
    usual = {"id": new_endpoint_id(), "url": "https://hooks.example.com/", "created_at": NOW, "updated_at": NOW}
    return WebhookEndpoint.model_validate(usual | fields)


def test_ids_sort_by_time() -> None:
    ids = [new_endpoint_id() for _ in range(5)]
    assert ids == sorted(ids)
    assert all(map(is_endpoint_id, ids))
    for text in ("", ids[0][4:], ids[0].upper(), f"{ids[0]}0", f"{ids[0]}\n", "whe_" + "é" * 32):
        assert not is_endpoint_id(text)


def test_a_secret_is_derived_and_another_one_for_each_endpoint_and_generation() -> None:
    endpoint, other = an_endpoint(), an_endpoint()
    secrets = EndpointSecrets(Signer(NEW))
    secret = secrets.current(endpoint)
    assert secret.startswith("whsec_")
    assert base64.b64decode(secret.removeprefix("whsec_"), validate=True) == secrets.signing_keys(endpoint, NOW)[0]
    assert len(secrets.signing_keys(endpoint, NOW)[0]) == 32
    every = {secrets.current(each) for each in (endpoint, other, rotate_secret(endpoint, NOW))}
    assert len(every | {EndpointSecrets(Signer(OLD)).current(endpoint)}) == 4
    assert EndpointSecrets(Signer(NEW)).current(endpoint) == secret


def test_the_previous_secret_signs_for_a_day() -> None:
    secrets = EndpointSecrets(Signer(NEW))
    first = an_endpoint()
    second = rotate_secret(first, NOW)
    (before,), (after, *_) = secrets.signing_keys(first, NOW), secrets.signing_keys(second, NOW)
    assert secrets.signing_keys(second, NOW + ROTATION_GRACE - timedelta(seconds=1)) == [after, before]
    assert secrets.signing_keys(second, NOW + ROTATION_GRACE) == [after]
    assert secrets.signing_keys(second, NOW - timedelta(days=1)) == [after], "the clock was ahead at the rotation"
    third = rotate_secret(second, NOW)
    assert before not in secrets.signing_keys(third, NOW)
    assert (third.generation, third.version, third.updated_at) == (3, 3, NOW)


def test_a_service_secret_that_was_replaced_signs_too() -> None:
    endpoint = an_endpoint()
    old = EndpointSecrets(Signer(OLD)).signing_keys(endpoint, NOW)
    both = EndpointSecrets(Signer(NEW, [OLD]))
    assert both.signing_keys(endpoint, NOW) == [*EndpointSecrets(Signer(NEW)).signing_keys(endpoint, NOW), *old]
    assert both.current(endpoint) == EndpointSecrets(Signer(NEW)).current(endpoint)
    assert len(both.signing_keys(rotate_secret(endpoint, NOW), NOW)) == 4


def test_an_endpoint_receives_what_it_is_subscribed_to() -> None:
    assert an_endpoint().receives("image.ready", "ann")
    assert an_endpoint(events=("image.ready",), owner="ann").receives("image.ready", "ann")
    for fields in ({"events": ("image.failed",)}, {"owner": "bob"}, {"enabled": False}):
        assert not an_endpoint(**fields).receives("image.ready", "ann")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com", "https://example.com/", "HTTPS://Hooks.Example.com/a/b?c=d&e=%20", "https://a.example:8443/",
        "https://93.184.215.14/", "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:8443/x", "https://xn--bcher-kva.example/",
        "https://example.com./", "https://my_host.example/a@b", "https://example.com/?@", "https://bücher.example/",
    ],
)  # fmt: skip
def test_urls_are_kept_as_they_are(url: str) -> None:
    assert FIELDS.url(url) == url


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (None, "missing_field"),
        ("", "missing_field"),
        (5, "wrong_type"),
        (["https://example.com"], "wrong_type"),
        ("http://example.com/", "bad_url"),
        ("ftp://example.com/", "bad_url"),
        ("example.com", "bad_url"),
        ("//example.com/", "bad_url"),
        ("https:example.com", "bad_url"),
        ("https:/example.com", "bad_url"),
        ("https://", "bad_url"),
        ("https:///path", "bad_url"),
        ("https://?a", "bad_url"),
        ("javascript:alert(1)", "bad_url"),
        ("https://user@example.com/", "bad_url"),
        ("https://user:pass@example.com/", "bad_url"),
        ("https://example.com@evil.example/", "bad_url"),
        ("https://@example.com/", "bad_url"),
        ("https://example.com/#part", "bad_url"),
        ("https://example.com#", "bad_url"),
        ("https://example.com:0/", "bad_url"),
        ("https://example.com:65536/", "bad_url"),
        ("https://example.com:8a/", "bad_url"),
        ("https://example.com\\@evil.example/", "bad_url"),
        ("https://exa mple.com/", "bad_url"),
        ("https://example.com/\r\nHost: evil", "bad_url"),
        (" https://example.com/", "bad_url"),
        ("https://-.example/", "bad_url"),
        ("https://a..example/", "bad_url"),
        ("https://[::1", "bad_url"),
        ("https://[nonsense]/", "bad_url"),
        ("https://[fe80::1%25eth0]/", "bad_url"),
        ("https://127.1/", "refused_address"),
        ("https://2130706433/", "refused_address"),
        ("https://0x7f.0.0.1/", "refused_address"),
        ("https://0x7f000001/", "refused_address"),
        ("https://0177.0.0.1/", "refused_address"),
        ("https://127.0.0.1/", "refused_address"),
        ("https://127.0.0.1./", "refused_address"),
        ("https://10.0.0.7:8443/", "refused_address"),
        ("https://169.254.169.254/latest/meta-data/", "refused_address"),
        ("https://[::1]/", "refused_address"),
        ("https://[fd00::1]/", "refused_address"),
        ("https://localhost/", "refused_address"),
        ("https://LOCALHOST./", "refused_address"),
        ("https://shop.localhost/", "refused_address"),
        ("https://example.com/" + "a" * (URL_CHARACTERS - 19), "too_long"),
    ],
)
def test_other_urls_are_refused(url: object, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        FIELDS.url(url)
    assert (caught.value.code, caught.value.extra["field"]) == (code, "url")
    assert "pass" not in caught.value.detail.replace("password", "")


def test_private_addresses_and_http_can_be_allowed() -> None:
    fields = EndpointFields(allow_private=True)
    for url in ("http://127.0.0.1:9000/hook", "http://localhost/", "https://10.0.0.7/", "http://example.com/"):
        assert fields.url(url) == url
    with pytest.raises(Invalid, match="http"):
        fields.url("ftp://example.com/")


def test_events_are_kept_in_order() -> None:
    assert FIELDS.events(None) == ("*",)
    assert FIELDS.events(["image.failed", "*"]) == ("*",)
    assert FIELDS.events(["image.failed", "image.ready", "image.failed"]) == ("image.ready", "image.failed")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("events", [], "bad_events"),
        ("events", ["image.*"], "bad_events"),
        ("events", ["webhook.test"], "bad_events"),
        ("events", "image.ready", "wrong_type"),
        ("events", [5], "wrong_type"),
        ("events", ["*"] * 21, "too_long"),
        ("owner", "", "bad_owner"),
        ("owner", "a b", "bad_owner"),
        ("owner", "ann\n", "bad_owner"),
        ("owner", 5, "wrong_type"),
        ("description", "x" * 201, "too_long"),
        ("description", "a\x00b", "control_character"),
        ("description", 5, "wrong_type"),
        ("enabled", 1, "wrong_type"),
        ("enabled", None, "wrong_type"),
    ],
)
def test_other_fields_are_refused(field: str, value: object, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        getattr(FIELDS, field)(value)
    assert (caught.value.code, caught.value.extra["field"]) == (code, field)
    assert f"`{field}`" in caught.value.detail
