"""`darkroom url`, `html` and `open`."""

import hashlib
import hmac
import os
import webbrowser
from enum import StrEnum
from typing import Annotated, Any

import typer

from darkroom.cli.console import NOT_DONE, print_error, write_json, write_line
from darkroom.cli.image_file import to_text
from darkroom.cli.images.options import OUTPUT, SIZE, Ids, Json, Url, read_ids
from darkroom.cli.images.session import for_each, session
from darkroom.cli.options import DEFAULT_URL

_MAX_SIDE = 8192


class Fit(StrEnum):
    """Fit of an image into width and height."""

    COVER = "cover"
    INSIDE = "inside"


class Format(StrEnum):
    """Format of a size."""

    AUTO = "auto"
    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"
    JXL = "jxl"
    PNG = "png"


class Markup(StrEnum):
    """Markup that shows an image."""

    HTML = "html"
    MARKDOWN = "markdown"
    SRCSET = "srcset"


def url(  # noqa: PLR0913 - all options of the command
    ids: Ids,
    *,
    width: Annotated[
        int | None, typer.Option("--width", min=1, max=_MAX_SIDE, metavar="N", help="In pixels.", rich_help_panel=SIZE)
    ] = None,
    height: Annotated[
        int | None, typer.Option("--height", min=1, max=_MAX_SIDE, metavar="N", help="In pixels.", rich_help_panel=SIZE)
    ] = None,
    fit: Annotated[
        Fit | None,
        typer.Option(help="Crop to width and height, or show the whole image inside them.", rich_help_panel=SIZE),
    ] = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="By default the best one that the browser accepts.", rich_help_panel=SIZE),
    ] = None,
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, metavar="N", help="Of the encoder.", rich_help_panel=SIZE)
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A variant instead of a size, such as w640.", rich_help_panel=SIZE),
    ] = None,
    slug: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Text in the url for people.", rich_help_panel=SIZE)
    ] = None,
    signing_key: Annotated[
        str | None,
        typer.Option(
            envvar="DARKROOM_SIGNING_KEY",
            show_envvar=True,
            show_default=False,
            metavar="HEX",
            help="Sign the url, for any size; `darkroom sign --key` prints the key.",
            rich_help_panel=SIZE,
        ),
    ] = None,
    server: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Print the url of an image in any size.

    Examples:

    darkroom url 01a21211-8a9b-7bc8-801b-cadcca2023b7 --width 640

    darkroom url 01a21211-8a9b-7bc8-801b-cadcca2023b7 --variant w320

    darkroom list --tag sea | darkroom url - --width 320 --format webp

    Nothing is requested from the server. The url of a public image lasts.
    Widths snap to those of the server, unless the url is signed: with the
    key in DARKROOM_SIGNING_KEY, or with the secret in DARKROOM_SECRET.

    Exit codes: 0 done, 2 wrong usage.
    """
    size: dict[str, Any] = {
        "width": width,
        "height": height,
        "fit": fit and fit.value,
        "format": format_ and format_.value,
        "quality": quality,
        "variant": variant and to_text(variant),
        "slug": slug and to_text(slug),
    }
    key = signing_key or _derive_key(os.environ.get("DARKROOM_SECRET"))
    if variant is None and (width or height):
        size["signing_key"] = key
    wanted = read_ids(ids)
    with session(server) as client:
        for image_id in wanted:
            found = client.url(image_id, **size)
            if as_json:
                write_json({"id": image_id, "url": found})
            else:
                write_line(found)


def html(
    ids: Ids,
    *,
    markup: Annotated[
        Markup, typer.Option("--as", help="Markup, or the value of a srcset.", rich_help_panel=OUTPUT)
    ] = Markup.HTML,
    server: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Print the HTML that shows an image, with all its sizes.

    Examples:

    darkroom html 01a21211-8a9b-7bc8-801b-cadcca2023b7

    darkroom html 01a21211-8a9b-7bc8-801b-cadcca2023b7 --as markdown

    darkroom list --tag sea | darkroom html - > gallery.html

    The urls of a private image expire.

    Exit codes: 0 done, 1 at least one image is not ready, 2 wrong usage, 3
    the server cannot be reached, 4 not allowed, 130 interrupted.
    """
    wanted = read_ids(ids)
    missing = False
    with session(server) as client:

        def work(image_id: str) -> None:
            nonlocal missing
            image = client.get(image_id)
            found = getattr(image.embed, markup.value)
            if found is None:
                missing = True
                write_line(f"refused  {image_id}  The image is {image.status}, so it has no markup.", error=True)
            elif as_json:
                write_json({"id": image_id, markup.value: found})
            else:
                write_line(found)

        for_each(wanted, work)
    if missing:
        raise typer.Exit(NOT_DONE)


def open_(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Ids of images. Without one, the page opens.", show_default=False),
    ] = None,
    *,
    server: Url = DEFAULT_URL,
) -> None:
    """Open an image, or the page of the server, in the browser.

    Examples:

    darkroom open

    darkroom open 01a21211-8a9b-7bc8-801b-cadcca2023b7

    darkroom list --tag sea --limit 3 | darkroom open -

    A private image is opened by a link that expires after an hour.

    Exit codes: 0 done, 1 no browser, or no such image, 2 wrong usage, 3 the
    server cannot be reached, 4 not allowed, 130 interrupted.
    """
    wanted = read_ids(ids or [])
    with session(server) as client:
        if not wanted:
            client.limits()  # fails here instead of in the browser
            _browse(f"{client.public_url}/")

        def work(image_id: str) -> None:
            image = client.get(image_id)
            is_public = image.visibility == "public"
            _browse(client.url(image_id) if is_public else client.share(image_id, expires_in=3600).url)

        for_each(wanted, work)


def _browse(address: str) -> None:
    write_line(address)
    if not webbrowser.open(address):
        print_error("cannot open a browser", "none is installed, or there is no display", f"open {address} yourself")
        raise typer.Exit(NOT_DONE)


def _derive_key(secret: str | None) -> str | None:
    """Return the key that signs sizes, in hexadecimal, from the secret of a service."""
    if not secret:
        return None
    return hmac.digest(secret.encode("utf-8", "surrogateescape"), b"derive\0sizes on demand", hashlib.sha256).hex()
