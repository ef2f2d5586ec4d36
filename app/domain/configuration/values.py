"""Types of settings: each parses the text of an environment variable, or raises ValueError with the accepted form."""

import json
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from app.domain.access.api_keys import ApiKey, parse_keys
from app.domain.access.own_limits import check_rate
from app.domain.configuration.addresses import normalize_base_url, normalize_listed_origin
from app.domain.configuration.hosts import host_name, host_pattern, network
from app.domain.configuration.store_urls import database_url, queue_url, storage_url
from app.domain.media import MEDIA_TYPES
from app.domain.recipe import Recipe
from app.domain.sizes.offer import parse_ratios, parse_widths


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _each(convert: Callable[[str], Any]) -> Callable[[tuple[str, ...]], tuple[Any, ...]]:
    return lambda values: tuple(dict.fromkeys(map(convert, values)))


def _networks(value: object) -> object:
    given = _split(value)
    return tuple(map(network, given)) if isinstance(given, tuple) else given


def _parsed(parse: Callable[[str], Any]) -> Callable[[object], object]:
    return lambda value: parse(value) if isinstance(value, str) else value


def _keys(value: object) -> object:
    return tuple(parse_keys(value)) if isinstance(value, str) else value


def _media_types(value: tuple[str, ...]) -> tuple[str, ...]:
    value = tuple(dict.fromkeys(map(str.lower, value)))
    unknown = set(value) - set(MEDIA_TYPES)
    if unknown or not value:
        found = ", ".join(sorted(unknown))[:80] or "none"
        raise ValueError(f"must be a list of {', '.join(MEDIA_TYPES)} (found: {found})")
    return value


def _parse_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except ValueError as error:
        raise ValueError(f"must be JSON: {error}") from None
    except RecursionError:
        raise ValueError("must be a recipe, not JSON that is nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError('must be a JSON object, such as {"variants": [{"name": "w640", "width": 640}]}')  # noqa: TRY004 - pydantic wants it
    return found


def _listen_address(value: str) -> str:
    if host_name(f"[{value}]" if ":" in value else value) is None:
        raise ValueError("must be an IP address or a name of this machine")
    return value


def _secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode()) < 16:
        raise ValueError("must be at least 16 bytes long")
    return value


_Names = Annotated[tuple[str, ...], BeforeValidator(_split)]

StorageUrl = Annotated[str, AfterValidator(storage_url)]
DatabaseUrl = Annotated[str, AfterValidator(database_url)]
QueueUrl = Annotated[str, AfterValidator(queue_url)]
BaseUrl = Annotated[str, AfterValidator(normalize_base_url)]
ListenAddress = Annotated[str, AfterValidator(_listen_address)]
Origins = Annotated[_Names, AfterValidator(_each(normalize_listed_origin))]
Hosts = Annotated[_Names, AfterValidator(_each(host_pattern))]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]
MediaTypes = Annotated[_Names, AfterValidator(_media_types)]
ApiKeys = Annotated[tuple[ApiKey, ...], BeforeValidator(_keys)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Rate = Annotated[float, Field(allow_inf_nan=False), AfterValidator(check_rate)]
Widths = Annotated[tuple[int, ...], BeforeValidator(_parsed(parse_widths))]
Ratios = Annotated[tuple[str, ...], BeforeValidator(_parsed(parse_ratios))]
RecipeJson = Annotated[Recipe, BeforeValidator(_parse_json)]
