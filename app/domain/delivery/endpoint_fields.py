"""Checks of the fields of webhook endpoints, and their stored form. Values are those of JSON."""

import ipaddress
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from app.domain.access.api_keys import OWNER_PATTERN
from app.domain.delivery.event_types import ALL_EVENTS, EventType
from app.domain.errors import Invalid
from app.domain.uploads.field_values import check_text, describe_value, missing_field, parse_text, wrong_type

URL_CHARACTERS = 2048
DESCRIPTION_CHARACTERS = 200
#: Most entries of `events` in a request.
MAX_EVENTS = 20
#: Values that `events` accepts.
EVENT_NAMES = (ALL_EVENTS, *map(str, EventType))

#: Returns why an address must not be connected to; None for one that may be.
AddressRule = Callable[[IPv4Address | IPv6Address], str | None]

# Characters of RFC 3986. A backslash is none of them: browsers take it for a slash.
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", re.ASCII)
_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?", re.ASCII)
#: The last label of what resolvers read as an IPv4 address, such as `127.1`, `0x7f.0.0.1` and `2130706433`.
_NUMBER = re.compile(r"([0-9]+|0x[0-9a-f]*)", re.ASCII)
_NAME_CHARACTERS = 253
_OWNER = re.compile(OWNER_PATTERN)
_FOUND_CHARACTERS = 80


class EndpointFields:
    """Checks of endpoints for one installation. Each method raises `Invalid` with the field and what it accepts.

    `refusal` is the rule for addresses. With `allow_http`, urls may begin with `http:`.
    """

    def __init__(self, refusal: AddressRule, *, allow_http: bool = False) -> None:
        self._refusal = refusal
        self._schemes = ("https", "http") if allow_http else ("https",)

    def url(self, value: object) -> str:
        """Return the url of an endpoint as it was given. Names are not resolved: each request checks the address."""
        text = check_text("url", value)
        if not text:
            raise missing_field("url", f"where to send events, such as {_EXAMPLE}")
        if len(text) > URL_CHARACTERS:
            detail = f"`url` has {len(text):,} characters. The limit is {URL_CHARACTERS:,}."
            raise Invalid("too_long", detail, field="url", measured=len(text), limit=URL_CHARACTERS)
        if not _URL.fullmatch(text):
            raise _bad_url("has characters that must be percent-encoded, or in punycode in a host name")
        scheme = text.partition(":")[0].lower()
        if scheme not in self._schemes or not text[len(scheme) :].startswith("://"):
            raise _bad_url(f"must begin with {' or '.join(f'{each}://' for each in self._schemes)}", _shown(text))
        if "#" in text:
            raise _bad_url("must not have a fragment (`#`), which is never sent")
        if "@" in re.split(r"[/?]", text[len(scheme) + 3 :], maxsplit=1)[0]:
            raise _bad_url("must not have a user or a password. Put a token into its path or query instead")
        self._check_authority(text)
        return text

    def _check_authority(self, text: str) -> None:
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise _bad_url("must name one host, and a port from 1 to 65535 or none", _shown(text)) from None
        if port == 0 or parts.netloc.endswith(":"):
            raise _bad_url("must have a port from 1 to 65535, or none", _shown(text))
        if parts.netloc.startswith("["):
            self._check_address(host, text)
            return
        name = host.removesuffix(".")
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            self._check_address(name, text)
        elif not _NAME.fullmatch(host) or len(name) > _NAME_CHARACTERS:
            raise _bad_url("must name one host, such as hooks.example.com", _shown(text))
        elif name == "localhost" or name.endswith(".localhost"):
            self._check_address("127.0.0.1", text)

    def _check_address(self, host: str, text: str) -> None:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise _bad_url("must have an IP address in its usual form, or a host name", _shown(text)) from None
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            raise _bad_url("must not have a zone in its address", _shown(text))
        why = self._refusal(address)
        if why is not None:
            raise Invalid(
                "refused_address",
                f"`url` names the address {address}, to which this service does not connect: {why}. Use a public "
                "address, or ask the operator to set DARKROOM_ALLOW_PRIVATE_ADDRESSES.",
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


_EXAMPLE = "https://hooks.example.com/darkroom"


def _bad_url(why: str, found: str | None = None) -> Invalid:
    shown = "" if found is None else f" (found: {describe_value(found)})"
    return Invalid("bad_url", f"`url` {why}{shown}. Example: {_EXAMPLE}.", field="url", found=found)


def _shown(text: str) -> str:
    """Return the beginning of a url up to its host: what follows may be a secret of the receiver."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return scheme.partition(":")[0][:_FOUND_CHARACTERS]
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    return f"{scheme}://{host}"[:_FOUND_CHARACTERS]
