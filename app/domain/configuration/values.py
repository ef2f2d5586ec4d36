"""Types of settings: how the text of a variable becomes a value, and why it cannot. All raise ValueError."""

import json
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr

from app.domain.access.api_keys import ApiKey, parse_keys
from app.domain.configuration.addresses import address_of, listed_origin
from app.domain.configuration.hosts import host_name, host_pattern, network
from app.domain.configuration.store_urls import database_url, queue_url, storage_url
from app.domain.media import MEDIA_TYPES
from app.domain.recipe import Recipe


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _each(convert: Callable[[str], Any]) -> Callable[[tuple[str, ...]], tuple[Any, ...]]:
    return lambda values: tuple(dict.fromkeys(map(convert, values)))


def _networks(value: object) -> object:
    given = _split(value)
    return tuple(map(network, given)) if isinstance(given, tuple) else given


def _keys(value: object) -> object:
    return tuple(parse_keys(value)) if isinstance(value, str) else value


def _known_types(value: tuple[str, ...]) -> tuple[str, ...]:
    value = tuple(dict.fromkeys(map(str.lower, value)))
    unknown = set(value) - set(MEDIA_TYPES)
    if unknown or not value:
        found = ", ".join(sorted(unknown))[:80] or "none"
        raise ValueError(f"must be a list of {', '.join(MEDIA_TYPES)} (found: {found})")
    return value


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("is no recipe: it is nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError('must be a JSON object, such as {"variants": [{"name": "w640", "width": 640}]}')  # noqa: TRY004 - pydantic wants it
    return found


def _listens(value: str) -> str:
    if host_name(f"[{value}]" if ":" in value else value) is None:
        raise ValueError("must be an IP address or a name of this machine")
    return value


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode()) < 16:
        raise ValueError("must be at least 16 bytes long")
    return value


_Names = Annotated[tuple[str, ...], BeforeValidator(_split)]

StorageUrl = Annotated[str, AfterValidator(storage_url)]
DatabaseUrl = Annotated[str, AfterValidator(database_url)]
QueueUrl = Annotated[str, AfterValidator(queue_url)]
Address = Annotated[str, AfterValidator(address_of)]
ListenAddress = Annotated[str, AfterValidator(_listens)]
Origins = Annotated[_Names, AfterValidator(_each(listed_origin))]
Hosts = Annotated[_Names, AfterValidator(_each(host_pattern))]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]
MediaTypes = Annotated[_Names, AfterValidator(_known_types)]
ApiKeys = Annotated[tuple[ApiKey, ...], BeforeValidator(_keys)]
Secret = Annotated[SecretStr, AfterValidator(_long_enough)]
RecipeJson = Annotated[Recipe, BeforeValidator(_parsed)]
