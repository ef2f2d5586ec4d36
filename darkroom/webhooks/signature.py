"""Verification of requests that are signed by the rules of Standard Webhooks (https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

_PREFIX = "whsec_"
#: Most signatures that are compared. A service sends one for each valid secret.
_MOST_SIGNATURES = 20
_NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")


class InvalidSignature(Exception):
    """The request does not come from the service, or is too old. Answer it with 400, and do not read its body."""


def verify(payload: bytes | str, headers: Mapping[str, str], secret: str, tolerance: float = 300) -> dict[str, Any]:
    """Check the signature of a request, and return its body.

    `payload` is the body as it was received, before any parser, and `headers` are those of the request, in any case.
    `secret` is the text `whsec_…` that the service returned for the endpoint. A request whose time differs by more than
    `tolerance` seconds from that of this machine is refused, because somebody may have recorded it. `webhook-id` is the
    same in all attempts to send an event: remember it to handle each event once.

    The comparison takes the same time for each signature. Raises `InvalidSignature`, and `ValueError` for a text that
    is no secret.

    >>> verify(b'{"type": "image.ready"}', {}, "whsec_" + 43 * "A" + "=")
    Traceback (most recent call last):
        ...
    darkroom.webhooks.signature.InvalidSignature: The header webhook-id is missing.
    """
    key = _read_secret(secret)
    body = payload.encode() if isinstance(payload, str) else bytes(payload)
    event_id, timestamp, signatures = _read_headers(headers)
    _check_time(timestamp, tolerance)
    signed = b".".join((event_id.encode(errors="replace"), timestamp.encode(), body))
    expected = hmac.digest(key, signed, hashlib.sha256)
    given = [each.removeprefix("v1,") for each in signatures.split()[:_MOST_SIGNATURES] if each.startswith("v1,")]
    matches = [hmac.compare_digest(expected, _decode(each)) for each in given]
    if not any(matches):
        raise InvalidSignature("No signature of the request matches.")
    try:
        event = json.loads(body)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise InvalidSignature("The body is not a JSON object.")
    return event


def _read_headers(headers: Mapping[str, str]) -> tuple[str, str, str]:
    found = {name.lower(): value for name, value in headers.items()}
    for name in _NAMES:
        if not found.get(name):
            raise InvalidSignature(f"The header {name} is missing.")
    event_id, timestamp, signatures = (found[name] for name in _NAMES)
    return event_id, timestamp, signatures


def _check_time(timestamp: str, tolerance: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise InvalidSignature("The header webhook-timestamp is not a number of seconds.")
    age = time.time() - int(timestamp)
    if abs(age) > tolerance:
        word = "old" if age > 0 else "new"
        raise InvalidSignature(f"The request is too {word}, or a clock is wrong (found: {abs(age):.0f} seconds).")


def _read_secret(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not key:
        raise ValueError("The secret must be the text whsec_… of the endpoint. (It is not shown.)")
    return key


def _decode(signature: str) -> bytes:
    try:
        return base64.b64decode(signature, validate=True)
    except ValueError:
        return b""
