"""`darkroom sign`: signed urls of sizes on demand."""

from typing import Annotated
from urllib.parse import urlencode

import typer

from app.bootstrap import build_signer
from app.cli.backends import require_folder
from app.cli.failures import reports_failures
from app.domain.ids import is_id
from app.domain.models import Format
from app.domain.recipe import Fit
from app.domain.sizes.offer import MAX_SIDE
from app.domain.sizes.operation import MAX_QUALITY
from app.domain.sizes.query import DEFAULT_QUALITY, FORMATS, SizeQuery
from app.domain.sizes.signatures import SizeSignatures
from app.settings import load

Side = Annotated[int | None, typer.Option(min=1, max=MAX_SIDE, help="In pixels.")]


@reports_failures
def sign(
    image_id: Annotated[str | None, typer.Argument(metavar="ID", help="Id of the image.")] = None,
    *,
    width: Side = None,
    height: Side = None,
    fit: Annotated[Fit, typer.Option(help="`cover` crops to width and height; `inside` shows the whole image.")] = (
        Fit.INSIDE
    ),
    format_name: Annotated[str, typer.Option("--format", help="auto, jpeg, webp, avif, jxl or png.")] = "auto",
    quality: Annotated[int, typer.Option(min=1, max=MAX_QUALITY, help="Of the encoder.")] = DEFAULT_QUALITY,
    key: Annotated[
        bool, typer.Option("--key", help="Print the key that signs sizes, in hexadecimal, for other programs.")
    ] = False,
) -> None:
    """Print a signed url of an image in any size. It lasts as long as the image and the secret.

    Examples:

    darkroom sign 01a21211-8a9b-7bc8-801b-cadcca2023b7 --width 500

    darkroom sign 01a21211-8a9b-7bc8-801b-cadcca2023b7
    --width 500 --height 200 --fit cover --format webp

    darkroom sign --key

    It needs the secret of the service, and does not connect to it.

    Exit codes: 0 done, 2 wrong usage or settings.
    """
    if key is (image_id is not None):
        raise typer.BadParameter("give the id of an image, or --key", param_hint="ID")
    query = SizeQuery(width, height, fit, _format(format_name), quality)
    if image_id is not None:
        _check(image_id, query)
    settings = load()
    require_folder(settings)
    signatures = SizeSignatures(build_signer(settings))
    if image_id is None:
        typer.echo(signatures.key.hex())
        return
    values = {"w": width, "h": height, "fit": fit.value, "fm": query.format or "auto", "q": quality}
    given = {name: value for name, value in values.items() if value is not None}
    signed = urlencode(given | {"s": signatures.sign(image_id, query.text)})
    typer.echo(f"{settings.public_url or ''}/i/{image_id}?{signed}")


def _format(name: str) -> Format | None:
    if name != "auto" and name not in FORMATS:
        raise typer.BadParameter(f"{name!r} is not auto, jpeg, webp, avif, jxl or png", param_hint="--format")
    return FORMATS.get(name)


def _check(image_id: str, query: SizeQuery) -> None:
    if not is_id(image_id):
        raise typer.BadParameter(f"{image_id[:80]!r} is not the id of an image", param_hint="ID")
    if query.width is None and query.height is None:
        raise typer.BadParameter("give --width, --height or both", param_hint="--width")
    if query.fit is Fit.COVER and (query.width is None or query.height is None):
        raise typer.BadParameter("`cover` needs --width and --height", param_hint="--fit")
