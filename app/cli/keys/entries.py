"""`darkroom key entry`: API keys in the settings."""

import json
from typing import Annotated, Any

import typer

from app.cli.failures import fail, reports_failures
from app.cli.keys.limits import QuotaBytes, QuotaImages, RateLimit, describe_limits, print_count
from app.cli.options import JSON_LINES
from app.domain.access.api_keys import ApiKey, Scope, new_key
from app.domain.access.own_limits import check_own_limits
from app.domain.errors import Invalid
from app.settings import load

#: Digits of a key's hash that name it.
_DIGITS = 12
_SETTING = "DARKROOM_API_KEYS"

entries = typer.Typer(no_args_is_help=True, add_completion=False, help="API keys in the settings.")


@entries.callback()
def _group() -> None:
    """API keys in the setting DARKROOM_API_KEYS. A change takes effect when the service starts again."""


@entries.command()
@reports_failures
def create(
    *,
    owner: Annotated[str, typer.Option(help="Owner of the images that are uploaded with the key.")],
    scope: Annotated[
        list[Scope],
        typer.Option(metavar="SCOPE", help=f"Permission of the key: {', '.join(Scope)}. Can be repeated."),
    ],
    rate_limit: RateLimit = None,
    quota_bytes: QuotaBytes = None,
    quota_images: QuotaImages = None,
    as_json: Annotated[bool, JSON_LINES] = False,
) -> None:
    """Create an API key and its entry for the settings, which is a hash. The key is shown only once.

    Examples:

    darkroom key entry create --owner ann --scope upload --scope read

    darkroom key entry create --owner backend --scope admin

    darkroom key entry create --owner ann --scope read --json

    darkroom key entry create --owner bob --scope upload --rate-limit 5

    Add the entry to DARKROOM_API_KEYS, set DARKROOM_AUTH=required, and restart
    the service.

    Exit codes: 0 done, 2 wrong usage.
    """
    if ":" in owner or "," in owner:  # separators of an entry
        raise typer.BadParameter(f"{owner!r} is not a valid owner", param_hint="--owner")
    try:
        own_limits = check_own_limits(rate_limit, quota_bytes, quota_images)
    except Invalid as error:
        raise typer.BadParameter(error.detail) from None
    try:
        key, entry = new_key(owner, scope, own_limits)
    except ValueError as error:
        raise typer.BadParameter(str(error).partition(": ")[2], param_hint="--owner") from None
    if as_json:
        typer.echo(json.dumps({"key": key, "entry": str(entry), **_described(entry)}))
        return
    typer.echo(f"key:   {key}")
    typer.echo(f"entry: {entry}")
    typer.echo(f"Give the key to its user. Add the entry to {_SETTING} and set DARKROOM_AUTH=required.", err=True)


@entries.command("list")
@reports_failures
def list_keys(*, as_json: Annotated[bool, JSON_LINES] = False) -> None:
    """List the API keys of the settings: id, owner, scopes and limits.

    Examples:

    darkroom key entry list

    darkroom key entry list --json

    DARKROOM_AUTH=required DARKROOM_API_KEYS="$(cat keys)" darkroom key entry list

    The id of a key is the beginning of its hash.

    Exit codes: 0 done, 2 wrong settings.
    """
    found = load().api_keys
    for entry in found:
        fields = _described(entry)
        if as_json:
            typer.echo(json.dumps(fields))
        else:
            limits = describe_limits(entry.own_limits)
            typer.echo(f"{fields['id']}  {entry.owner}  {'+'.join(sorted(entry.scopes))}  {limits}".rstrip())
    if not as_json:
        print_count(len(found))


@entries.command()
@reports_failures
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, as `key entry list` prints it.")],
    *,
    as_json: Annotated[bool, JSON_LINES] = False,
) -> None:
    """Print the value of DARKROOM_API_KEYS without a key.

    Examples:

    darkroom key entry revoke 4f0b6a1c22d9

    darkroom key entry revoke 4f0b6a1c22d9 --json

    DARKROOM_API_KEYS="$(darkroom key entry revoke 4f0b6a1c22d9)" darkroom serve

    The key is valid until the service has started again with the new value.

    Exit codes: 0 done, 1 no such key, 2 wrong usage or settings.
    """
    known = load().api_keys
    found = [entry for entry in known if entry.sha256.startswith(key_id.lower())] if len(key_id) >= 8 else []
    if len(found) != 1:
        cause = f"{len(found)} keys of {_SETTING} begin with {key_id[:_DIGITS]!r}"
        fail("no such key", cause, "darkroom key entry list")
    value = ",".join(str(entry) for entry in known if entry is not found[0])
    typer.echo(json.dumps({"revoked": _described(found[0]), "api_keys": value}) if as_json else value)
    typer.echo(f"Set {_SETTING} to this value and restart the service.", err=True)


def _described(entry: ApiKey) -> dict[str, Any]:
    fields = {"id": entry.sha256[:_DIGITS], "owner": entry.owner, "scopes": sorted(entry.scopes)}
    return {**fields, **entry.own_limits._asdict()}
