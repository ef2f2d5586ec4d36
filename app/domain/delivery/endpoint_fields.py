"""Checks of the fields of webhook endpoints, and their stored form. Values are those of JSON."""

import ipaddress
import re

from app.domain.access.api_keys import OWNER_PATTERN
from app.domain.delivery.addresses import find_refusal
from app.domain.delivery.event_types import ALL_EVENTS, EventType
from app.domain.delivery.targets import URL_CHARACTERS, Target
from app.domain.errors import Invalid, Refused
from app.domain.uploads.field_values import check_text, missing_field, parse_text, wrong_type

DESCRIPTION_CHARACTERS = 200
#: Most entries of `events` in a request.
MAX_EVENTS = 20
#: Values that `events` accepts.
EVENT_NAMES = (ALL_EVENTS, *map(str, EventType))

_OWNER = re.compile(OWNER_PATTERN)
_FOUND_CHARACTERS = 80
_EXAMPLE = "https://hooks.example.com/darkroom"


class EndpointFields:
    """Checks of endpoints for one installation. Each method raises `Invalid` with the field and what it accepts.

    With `allow_private`, urls may name private addresses, and begin with `http:`.
    """

    def __init__(self, *, allow_private: bool = False) -> None:
        self._allow_private = allow_private

    def url(self, value: object) -> str:
        """Return the url of an endpoint as it was given. Names are not resolved: each request checks the address."""
        text = check_text("url", value)
        if not text:
            raise missing_field("url", f"where to send events, such as {_EXAMPLE}")
        if len(text) > URL_CHARACTERS:
            detail = f"`url` has {len(text):,} characters. The limit is {URL_CHARACTERS:,}."
            raise Invalid("too_long", detail, field="url", measured=len(text), limit=URL_CHARACTERS)
        if "#" in text:
            raise _bad_url("must not have a fragment (`#`), which is never sent")
        try:
            target = Target.parse(text, allow_http=self._allow_private)
        except Refused as refused:
            raise _bad_url(refused.detail) from None
        self._check_host(target.host)
        return text

    def _check_host(self, host: str) -> None:
        is_local = host == "localhost" or host.endswith(".localhost")
        try:
            address = ipaddress.ip_address("127.0.0.1" if is_local else host)
        except ValueError:
            return
        why = find_refusal(address, allow_private=self._allow_private)
        if why is not None:
            raise Invalid(
                "refused_address",
                f"`url` names the address {address}, to which this service does not connect: {why}. Use a public "
                "address. An operator can allow private ones by DARKROOM_ALLOW_PRIVATE_ADDRESSES.",
                field="url",
                found=str(address),
            )

    def events(self, value: object) -> tuple[str, ...]:
        """Return types of events in their usual order, each once. None and an entry `*` stand for all."""
        if value is None:
            return (ALL_EVENTS,)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise wrong_type("events", "a list of strings", value)
        if len(value) > MAX_EVENTS:
            detail = f"`events` has {len(value)} entries. The limit is {MAX_EVENTS}: name each type once."
            raise Invalid("too_long", detail, field="events", measured=len(value), limit=MAX_EVENTS)
        unknown = [each for each in value if each not in EVENT_NAMES]
        if unknown or not value:
            found = unknown[0][:_FOUND_CHARACTERS] if unknown else None
            raise Invalid(
                "bad_events",
                f"`events` must name at least one of {', '.join(EVENT_NAMES)} "
                f"(found: {'none' if found is None else ascii(found)}). `*` is every type.",
                field="events",
                found=found,
                accepted=list(EVENT_NAMES),
            )
        return (ALL_EVENTS,) if ALL_EVENTS in value else tuple(name for name in EVENT_NAMES if name in value)

    def owner(self, value: object) -> str | None:
        """Return the owner of the images; None for every owner."""
        owner = check_text("owner", value)
        if owner is not None and not _OWNER.fullmatch(owner):
            found = owner[:_FOUND_CHARACTERS]
            raise Invalid(
                "bad_owner",
                "`owner` must be 1 to 128 letters, digits, and characters of `._@-`, and begin with a letter or a "
                f"digit, or be absent for every owner (found: {found!a}).",
                field="owner",
                found=found,
            )
        return owner

    def description(self, value: object) -> str | None:
        """Return a description in its stored form; None for an empty one."""
        return parse_text("description", value, DESCRIPTION_CHARACTERS)

    def enabled(self, value: object) -> bool:
        """Return a switch."""
        if not isinstance(value, bool):
            raise wrong_type("enabled", "true or false", value)
        return value


def _bad_url(why: str) -> Invalid:
    return Invalid("bad_url", f"`url` {why}. Example: {_EXAMPLE}.", field="url")
