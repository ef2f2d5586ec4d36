"""Urls of images in any size."""

import base64
import hmac
from typing import Literal, TypedDict
from urllib.parse import quote, urlencode

from darkroom.errors import InvalidArgument

_DEFAULT_QUALITY = 75


class Size(TypedDict, total=False):
    """Size of an image, or a variant of it.

    One side keeps the aspect ratio. Widths snap to those of the service; with a `signing_key` any size is served.
    """

    width: int | None
    height: int | None
    #: With both sides: `cover`, the default, crops at the focal point, and `inside` shows the whole image.
    fit: Literal["cover", "inside"] | None
    #: By default the best format that the browser accepts.
    format: Literal["auto", "jpeg", "webp", "avif", "jxl", "png"] | None
    quality: int | None
    #: Name of a variant, instead of a size.
    variant: str | None
    #: Text for people and search engines.
    slug: str | None
    #: `rendering_id` of the record, for a url that caches may keep.
    version: str | None
    #: Key in hexadecimal, as `darkroom sign --key` prints it.
    signing_key: str | None


def build_url(base: str, image_id: str, size: Size) -> str:
    """Return the url of an image at the service with this url."""
    names = {"w": "width", "h": "height", "fit": "fit", "fm": "format", "q": "quality"}
    query = {short: size.get(name) for short, name in names.items() if size.get(name) is not None}
    for name in ("width", "height", "quality"):
        value = size.get(name)
        if isinstance(value, int) and value < 1:
            raise InvalidArgument(f"{name} must be at least 1 (found: {value}).")
    key = size.get("signing_key")
    if size.get("variant") is not None:
        if query or key is not None:
            raise InvalidArgument("A variant has its own size, format and quality. Give one or the other.")
        query["size"] = size["variant"]
    if size.get("version") is not None:
        query["v"] = size["version"]
    if key is not None:
        query["s"] = _sign(key, image_id, size)
    slug = size.get("slug")
    path = f"{base}/i/{quote(image_id, safe='')}" + (f"/{quote(slug, safe='')}" if slug else "")
    return f"{path}?{urlencode(query)}" if query else path


def _sign(key: str, image_id: str, size: Size) -> str:
    """Return the signature of a size: the start of an HMAC over its normalized text."""
    width, height = size.get("width"), size.get("height")
    crops = width and height and size.get("fit") != "inside"
    quality = size.get("quality") or _DEFAULT_QUALITY
    parts = [width and f"w{width}", height and f"h{height}", crops and "cover", f"q{quality}"]
    text = f"{image_id}/{'-'.join(str(part) for part in parts if part)}.{size.get('format') or 'auto'}"
    try:
        secret = bytes.fromhex(key)
    except ValueError:
        raise InvalidArgument("The signing key is not hexadecimal. `darkroom sign --key` prints it.") from None
    return base64.urlsafe_b64encode(hmac.digest(secret, text.encode(), "sha256")[:16]).decode().rstrip("=")
