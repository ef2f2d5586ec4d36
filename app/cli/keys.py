"""`darkroom key`: API keys for the operator."""

from typing import Annotated

import typer

from app.domain.access.api_keys import Scope, new_key

keys = typer.Typer(no_args_is_help=True, help="API keys.")


@keys.callback()
def _group() -> None:
    """API keys."""


@keys.command()
def new(
    *,
    owner: Annotated[str, typer.Option(help="Owner of the images that are uploaded with the key.")],
    scope: Annotated[list[Scope], typer.Option(help="Permission of the key. Can be repeated.")],
) -> None:
    """Create an API key. It is shown only once: the service stores its hash."""
    if ":" in owner or "," in owner:  # separators of an entry
        raise typer.BadParameter(f"{owner!r} is not a valid owner", param_hint="--owner")
    try:
        key, entry = new_key(owner, scope)
    except ValueError as error:
        raise typer.BadParameter(str(error).partition(": ")[2], param_hint="--owner") from None
    typer.echo(f"key:   {key}")
    typer.echo(f"entry: {entry}")
    typer.echo("Give the key to its user. Add the entry to DARKROOM_API_KEYS and set DARKROOM_AUTH=required.", err=True)
