"""The request header `Idempotency-Key`."""

import re
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from pydantic import WithJsonSchema

from app.api.http.problem_catalog import refusal

#: Response header of an answer to a repetition.
REPLAYED = "Idempotency-Replayed"
MAX_CHARACTERS = 255
#: Problems of requests with a key.
IDEMPOTENCY_PROBLEMS = (
    "bad_idempotency_key", "idempotency_key_reused", "request_in_progress", "idempotent_image_deleted",
)  # fmt: skip

# Keys without quotes are what clients send in practice. A comma needs quotes, because gateways join repeated header
# fields with commas.
_BARE = rf"[!#-+\--~][!-+\--~]{{0,{MAX_CHARACTERS - 1}}}"
# A String of RFC 8941, as the IETF draft has it, without spaces.
_QUOTED = rf'"(?:[!#-\[\]-~]|\\["\\]){{1,{MAX_CHARACTERS}}}"'
_KEY = re.compile(f"{_BARE}|{_QUOTED}")
_ESCAPED = re.compile(r'\\(["\\])')

#: Description of the response header.
REPLAYED_HEADER: dict[str, Any] = {
    "headers": {
        REPLAYED: {
            "description": "Present if the answer is to a repetition of a finished request.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
}
_DESCRIBED = {
    "type": "string",
    "pattern": f"^(?:{_KEY.pattern})$",
    "examples": ["8e03978e-40d5-43dd-bc93-6894a57f9324"],
}
_Key = Annotated[str, WithJsonSchema(_DESCRIBED)]


def parse_idempotency_key(fields: list[str]) -> str | None:
    """Return the key in a request's `Idempotency-Key` fields, or None. `"k"` and `k` are the same key.

    Raises `Malformed` for two fields and for text that is no key.
    """
    if not fields:
        return None
    if len(fields) > 1:
        raise refusal("bad_idempotency_key", "Send one `Idempotency-Key` (found: 2 or more).", limit=MAX_CHARACTERS)
    text = fields[0].strip(" \t")
    if not _KEY.fullmatch(text):
        raise refusal("bad_idempotency_key", limit=MAX_CHARACTERS, measured=len(text))
    return _ESCAPED.sub(r"\1", text[1:-1]) if text.startswith('"') else text


async def _read_key(
    request: Request,
    _: Annotated[
        _Key | None,
        Header(
            alias="Idempotency-Key",
            description="A name of your choice for this request, such as a UUID: 1 to 255 visible ASCII characters, "
            "quoted or not. For 24 hours a repetition with the same key has no further effect: it is answered with the "
            "record of the first request.",
        ),
    ] = None,
) -> str | None:
    return parse_idempotency_key(request.headers.getlist("idempotency-key"))


IdempotencyKeyDep = Annotated[str | None, Depends(_read_key)]
