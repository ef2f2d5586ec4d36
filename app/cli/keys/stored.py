"""`darkroom key create|list|edit|rotate|revoke`: API keys in the store, self-hosted and on AWS."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, NoReturn

import typer

from app.cli.backends import open_existing
from app.cli.failures import fail, reports_failures
from app.cli.keys.entries import entries
from app.cli.keys.limits import OwnLimit, QuotaBytes, QuotaImages, RateLimit, describe_limits, print_count
from app.cli.options import JSON_LINES, check_owner
from app.domain.access.api_keys import Scope
from app.domain.access.key_admin import KeyAdmin
from app.domain.access.own_limits import OwnLimits
from app.domain.access.stored_keys import GRACE, MAX_GRACE, MAX_LIFE, StoredKey
from app.domain.errors import Conflict, Invalid, NotFound
from app.domain.models import ANONYMOUS, utcnow

_PAGE = 200
#: Longest id to repeat in an error. What is longer may be a key.
_ID_DIGITS = 20
_HOURS = timedelta(hours=1)

AsJson = Annotated[bool, JSON_LINES]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="Id of the key, as `key list` prints it.")]


keys = typer.Typer(no_args_is_help=True, add_completion=False, help="API keys.")
keys.add_typer(entries, name="entry")


@keys.callback()
def _group() -> None:
    """API keys in the store, self-hosted and on AWS. Changes take effect within 30 seconds, without a restart."""


@keys.command()
@reports_failures
def create(
    *,
    owner: Annotated[str, typer.Option(help="Owner of the images that are uploaded with the key.", metavar="NAME")],
    scope: Annotated[
        list[Scope],
        typer.Option(metavar="SCOPE", help=f"Permission of the key: {', '.join(Scope)}. Can be repeated."),
    ],
    name: Annotated[
        str | None, typer.Option(help="Says what the key is for. Default: the owner.", metavar="TEXT")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=MAX_LIFE.days, help="Days until the key expires. Default: never.")
    ] = None,
    rate_limit: RateLimit = None,
    quota_bytes: QuotaBytes = None,
    quota_images: QuotaImages = None,
    as_json: AsJson = False,
) -> None:
    """Create an API key in the store. It is shown only once: the store has its hash.

    The service accepts it at once, without a restart, if it was started with
    DARKROOM_AUTH=required.

    Examples:

    darkroom key create --owner ann --scope upload --scope read

    darkroom key create --owner root --scope admin --name "on call" --days 90

    darkroom key create --owner bob --scope upload --rate-limit 5 --quota-images 1000

    Limits of the key are in place of those of the installation. Its quotas are
    for uploads with this key to its owner.

    Exit codes: 0 done, 2 wrong usage, 3 the store does not answer, 4 a right is
    missing.
    """
    check_owner(owner)
    if owner == ANONYMOUS:
        raise typer.BadParameter(f"{owner!r} is not a valid owner: it is that of callers without a key")
    admin, auth = _open()
    expires_at = None if days is None else utcnow() + timedelta(days=days)
    try:
        key, entry = admin.create(
            name=name or owner,
            owner=owner,
            scopes=scope,
            expires_at=expires_at,
            own_limits=OwnLimits(rate_limit, quota_bytes, quota_images),
        )
    except Invalid as error:
        raise typer.BadParameter(error.detail) from None
    _show_secret(key, entry, as_json=as_json)
    if auth == "none":
        typer.echo("Without DARKROOM_AUTH=required the service does not check keys.", err=True)


@keys.command("list")
@reports_failures
def list_keys(*, as_json: AsJson = False) -> None:
    """List the API keys in the store, newest first: id, owner, scopes, last use, expiry, limits and name.

    Keys of the settings are not listed: see `darkroom key entry list`.

    Examples:

    darkroom key list

    darkroom key list --json

    Exit codes: 0 done, 3 the store does not answer, 4 a right is missing.
    """
    admin, _ = _open()
    count = 0
    for entry in _all(admin):
        count += 1
        if as_json:
            typer.echo(json.dumps(_fields(entry)))
            continue
        used = f"used {entry.last_used}" if entry.last_used else "never used"
        ends = "" if entry.expires_at is None else f"{'expired' if entry.has_expired(utcnow()) else 'expires'} "
        ends += "" if entry.expires_at is None else f"{entry.expires_at:%Y-%m-%d}"
        limits = describe_limits(entry.own_limits)
        parts = (entry.id, entry.owner, "+".join(entry.scopes), used, ends, limits, entry.name)
        typer.echo("  ".join(part for part in parts if part))
    if not as_json:
        print_count(count)


@keys.command()
@reports_failures
def edit(
    key_id: KeyId,
    *,
    name: Annotated[str | None, typer.Option(help="Says what the key is for.", metavar="TEXT")] = None,
    rate_limit: RateLimit = None,
    quota_bytes: QuotaBytes = None,
    quota_images: QuotaImages = None,
    unset: Annotated[
        list[OwnLimit] | None,
        typer.Option(
            metavar="NAME", help=f"Use the installation's limit again: {', '.join(OwnLimit)}. Can be repeated."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change name and limits of an API key. The service follows within 30 seconds, without a restart.

    Examples:

    darkroom key edit 019ac4f1d2a07be31c55 --rate-limit 5

    darkroom key edit 019ac4f1d2a07be31c55 --quota-bytes 0 --unset rate-limit

    Exit codes: 0 done, 1 unknown key, 2 wrong usage, 3 the store does not
    answer, 4 a right is missing.
    """
    given = {"name": name, "rate_limit": rate_limit, "quota_bytes": quota_bytes, "quota_images": quota_images}
    changes: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    for each in unset or ():
        field = each.value.replace("-", "_")
        if field in changes:
            raise typer.BadParameter(f"--{each} and --unset {each} do not go together")
        changes[field] = None
    if not changes:
        raise typer.BadParameter("nothing to change: give --name, a limit or --unset")
    admin, _ = _open()
    try:
        entry = admin.edit(key_id, changes)
    except NotFound:
        _fail_unknown(key_id)
    except Invalid as error:
        raise typer.BadParameter(error.detail) from None
    limits = describe_limits(entry.own_limits) or "the limits of the installation"
    typer.echo(json.dumps(_fields(entry)) if as_json else f"{entry.id}  {entry.owner}  {limits}  {entry.name}")


@keys.command()
@reports_failures
def rotate(
    key_id: KeyId,
    *,
    grace_hours: Annotated[
        int, typer.Option(min=0, max=MAX_GRACE // _HOURS, help="Hours for which the old key stays valid; 0: none.")
    ] = GRACE // _HOURS,
    as_json: AsJson = False,
) -> None:
    """Give an API key a new secret. The old one stays valid for 24 hours, or for --grace-hours.

    Examples:

    darkroom key rotate 019ac4f1d2a07be31c55

    darkroom key rotate 019ac4f1d2a07be31c55 --grace-hours 0

    Exit codes: 0 done, 1 unknown key, 2 wrong usage, 3 the store does not
    answer, 4 a right is missing.
    """
    admin, _ = _open()
    try:
        key, entry = admin.rotate(key_id, grace_hours * _HOURS)
    except NotFound:
        _fail_unknown(key_id)
    except Conflict as error:
        remedy = "key create" if error.code == "expired_key" else "key rotate ID --grace-hours 0"
        fail("the key cannot be rotated", error.detail, f"darkroom {remedy}")
    _show_secret(key, entry, as_json=as_json)


@keys.command()
@reports_failures
def revoke(key_id: KeyId, *, as_json: AsJson = False) -> None:
    """Revoke an API key. The service refuses it within 30 seconds, without a restart.

    Example:

    darkroom key revoke 019ac4f1d2a07be31c55

    Exit codes: 0 done, 1 unknown key, 2 wrong usage, 3 the store does not
    answer, 4 a right is missing.
    """
    admin, _ = _open()
    try:
        was_there = admin.revoke(key_id)
    except NotFound:
        was_there = False
    if not was_there:
        _fail_unknown(key_id)
    typer.echo(json.dumps({"id": key_id, "revoked": True}) if as_json else f"{key_id} is revoked")


def _open() -> tuple[KeyAdmin, str]:
    settings, backends = open_existing()
    return KeyAdmin(backends.open_api().key_store), settings.auth


def _fail_unknown(key_id: str) -> NoReturn:
    fail("no such key", f"no API key of the store has the id {key_id[:_ID_DIGITS]!r}", "darkroom key list")


def _all(admin: KeyAdmin) -> Iterator[StoredKey]:
    after = None
    while page := admin.list(_PAGE, after):
        yield from page
        after = page[-1].id


def _show_secret(key: str, entry: StoredKey, *, as_json: bool) -> None:
    typer.echo(json.dumps({"key": key, **_fields(entry)}) if as_json else key)
    typer.echo(f"Give the key to its user: it is shown only once. Its id is {entry.id}.", err=True)


def _fields(entry: StoredKey) -> dict[str, Any]:
    fields = entry.model_dump(mode="json", exclude={"secrets", "version"})
    ends = [secret.ends_at.isoformat() for secret in entry.secrets if secret.ends_at is not None]
    return {**fields, "secrets_ending_at": ends}
