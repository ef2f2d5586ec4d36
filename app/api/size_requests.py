"""Requests for sizes: query, extension and `Accept` as one value."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Scope

from app.api.http.accept import negotiate_format
from app.domain.models import Format
from app.domain.sizes.query import SizeQuery, parse_query

#: Formats of a request that names none. AVIF takes several times as long to make, so it must be asked for.
_AUTOMATIC = (Format.JXL, Format.WEBP, Format.JPEG)
_CACHED_CHARACTERS = 200
#: JSON schemas of the parameters, by name.
_SIDE = {"type": "number", "minimum": 1, "maximum": 16383}
_PARAMETERS: dict[str, tuple[str, dict[str, object]]] = {
    "w": ("Width in pixels; also `width`.", _SIDE),
    "h": ("Height in pixels; also `height`.", _SIDE),
    "q": ("Quality; also `quality`.", {"type": "number", "minimum": 1, "maximum": 100, "default": 75}),
    "fm": (
        "Format; also `format`, `f`. `auto` is JPEG XL if it is on, WebP or JPEG, by `Accept`, and the default.",
        {"type": "string", "enum": ["auto", "jpeg", "jpg", "webp", "avif", "jxl", "png"]},
    ),
    "fit": (
        "`cover` crops to the box, `inside` shows the whole image in it. Names of imgix, directus and sharp work too.",
        {"type": "string", "enum": ["cover", "inside"], "default": "cover"},
    ),
    "dpr": ("Factor of width and height.", {"type": "number", "minimum": 0.1, "maximum": 10, "default": 1}),
    "size": ("Name of a variant, in place of width and height.", {"type": "string"}),
    "s": ("Signature of a size that is not offered to everybody.", {"type": "string"}),
    "v": ("`rendering_id` of the record: caches then keep the answer for a day without asking.", {"type": "string"}),
}
PARAMETERS = [
    {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
    for name, (description, schema) in _PARAMETERS.items()
]


@dataclass(frozen=True)
class SizeRequest:
    """A request for a size. `accept` is the header that the format depends on if the query names none."""

    query: SizeQuery
    variant: str | None
    signature: str | None
    is_versioned: bool
    accept: str | None = None

    def choose_format(self, offered: Collection[Format]) -> Format:
        """Return the format to render: the one that is named, or else the best one of those that are offered."""
        automatic = [form for form in _AUTOMATIC if form in offered]
        return self.query.format or negotiate_format(self.accept, automatic) or Format.JPEG

    @property
    def extension(self) -> str | None:
        """Extension of the format that the query names, or None."""
        return self.query.format.extension if self.query.format else None


def read_size_request(scope: Scope) -> SizeRequest:
    """Read the request of an ASGI scope. Raises `Invalid`."""
    query_string: bytes = scope["query_string"]
    extension = scope["path_params"].get("slug", "").rpartition(".")[2][:8]
    read = _read_cached if len(query_string) <= _CACHED_CHARACTERS else _read
    found = read(query_string, extension)
    if found.query.format is not None:
        return found
    accept = Headers(scope=scope).get("accept")
    return SizeRequest(found.query, found.variant, found.signature, found.is_versioned, accept)


def _read(query_string: bytes, extension: str) -> SizeRequest:
    parameters = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    named = dict(parameters)
    query = parse_query(parameters, extension)
    return SizeRequest(query, named.get("size") or None, named.get("s"), bool(named.get("v")))


_read_cached = lru_cache(maxsize=1024)(_read)
