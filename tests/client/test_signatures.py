"""`darkroom.webhooks.verify` accepts what the reference library of Standard Webhooks signs, and refuses the rest."""

import base64
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from darkroom.webhooks import InvalidSignature, verify

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(32)).decode()
BODY = '{"type": "image.ready", "data": {"filename": "Büro 🗄.jpg"}}'
ID = "evt_01a2121119a97bc8801bcadcca2023b7"


def signed(body: str = BODY, secret: str = SECRET, age: float = 0, **changes: str | None) -> dict[str, str]:
    """Return the headers of a request that the reference library signs."""
    moment = datetime.fromtimestamp(int(time.time() - age), UTC)
    headers: dict[str, str | None] = {
        "webhook-id": ID,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(ID, moment, body),
    }
    headers |= {f"webhook-{name}": value for name, value in changes.items()}
    return {name: value for name, value in headers.items() if value is not None}


@pytest.mark.parametrize("payload", [BODY, BODY.encode(), bytearray(BODY.encode())])
def test_a_signed_request_is_accepted(payload: Any) -> None:
    assert verify(payload, signed(), SECRET) == json.loads(BODY)
    assert verify(payload, {name.upper(): value for name, value in signed().items()}, SECRET) == json.loads(BODY)
    assert verify(payload, signed(), SECRET.removeprefix("whsec_")) == json.loads(BODY)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9) | st.integers(), max_size=5), st.booleans())
def test_it_agrees_with_the_reference_library(document: dict[str, Any], as_ascii: bool) -> None:
    body = json.dumps(document, ensure_ascii=as_ascii)
    try:
        headers = signed(body)
    except UnicodeEncodeError:  # a lone surrogate is no text of a request
        return
    assert verify(body, headers, SECRET) == Webhook(SECRET).verify(body, headers) == document
    assert verify(body.encode(), headers, SECRET) == document


def test_one_of_several_signatures_is_enough() -> None:
    own, other = signed()["webhook-signature"], signed(secret=OTHER)["webhook-signature"]
    for signature in (f"{other} {own}", f"{own} {other}", f"v1a,AAAA v2,{own[3:]} v1,? v1, {own}", f"  {own}  "):
        assert verify(BODY, signed(signature=signature), SECRET)
    for signature in (
        other,
        own.replace("v1,", "v2,"),
        own.replace("v1,", ""),
        f"{own[:10]}{'B' if own[10] == 'A' else 'A'}{own[11:]}",
        own.replace(",", ", "),
    ):
        with pytest.raises(InvalidSignature, match="No signature"):
            verify(BODY, signed(signature=signature), SECRET)


def test_altered_requests_are_refused() -> None:
    headers = signed()
    with pytest.raises(InvalidSignature):
        verify(BODY.replace("ready", "failed"), headers, SECRET)
    with pytest.raises(InvalidSignature):
        verify(BODY + " ", headers, SECRET)
    with pytest.raises(InvalidSignature):
        verify(BODY, headers, OTHER)
    for name in ("id", "timestamp", "signature"):
        for missing in (None, ""):
            with pytest.raises(InvalidSignature, match=f"webhook-{name} is missing"):
                verify(BODY, signed(**{name: missing}), SECRET)
    for change in ({"id": f"{ID}0"}, {"timestamp": str(int(time.time()) + 100)}, {"id": f"{ID}é"}):
        with pytest.raises(InvalidSignature):
            verify(BODY, signed(**change), SECRET)
    for timestamp in ("yesterday", "-5", "1e9", "١٢٣", "9" * 13, " 1"):
        with pytest.raises(InvalidSignature, match="number of seconds"):
            verify(BODY, signed(timestamp=timestamp), SECRET)


@pytest.mark.parametrize(("age", "word"), [(400, "old"), (-400, "new")])
def test_a_request_of_another_time_is_refused(age: float, word: str) -> None:
    with pytest.raises(InvalidSignature, match=f"too {word}"):
        verify(BODY, signed(age=age), SECRET)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY, signed(age=age))
    assert verify(BODY, signed(age=age), SECRET, tolerance=500)


@pytest.mark.parametrize("body", ["", "[]", "null", "{"])
def test_a_signed_body_that_is_no_object_is_refused(body: str) -> None:
    with pytest.raises(InvalidSignature, match="JSON object"):
        verify(body, signed(body), SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_?", "whsec_é", "secret!"])
def test_a_text_that_is_no_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_…") as caught:
        verify(BODY, signed(), secret)
    assert "?" not in str(caught.value)


def test_it_needs_nothing_but_the_standard_library() -> None:
    script = "import sys, darkroom.webhooks; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"httpx", "typer", "pydantic"} & set(done.stdout.split()) == set()
