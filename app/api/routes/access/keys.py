"""API keys in the store."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from app.api.bodies.json_body import read_json_body, read_optional_object
from app.api.bodies.request_schemas import json_request
from app.api.dependencies import ServicesDep
from app.api.http.access import ScopedRoute, requires
from app.api.http.json_object import JsonObject, parse_object
from app.api.http.problem_catalog import refusal
from app.api.http.problem_examples import model_response, problem_responses
from app.api.routes.access.schemas import GRACE_SECONDS, MAX_SCOPES
from app.api.views.api_key import ApiKeyList, ApiKeyView, CreatedApiKey
from app.api.views.list_query import DEFAULT_LIMIT, MAX_LIMIT, Timestamp
from app.api.views.paging import Paging
from app.api.views.responses import json_answer
from app.domain.access.api_keys import Scope
from app.domain.access.key_admin import CHANGEABLE
from app.domain.access.own_limits import OWN_LIMITS, OwnLimits
from app.domain.access.stored_keys import check_grace
from app.domain.uploads.field_values import missing_field, unknown_fields, wrong_type

router = APIRouter(tags=["keys"], route_class=ScopedRoute)

_SECRET = {"Cache-Control": "no-store"}
_CACHING = {"Cache-Control": "private, no-cache"}
#: What the cursors of the list are bound to.
_KEYS = {"list": "keys"}
_TIMESTAMP = TypeAdapter[datetime](Timestamp)
_FOUND_CHARACTERS = 80
_BODY_PROBLEMS = (
    "incomplete_body", "empty_body", "bad_json", "too_deep", "duplicate_field", "request_timeout", "body_too_large",
    "unsupported_body", "unknown_field", "wrong_type", "invalid_request", "scope_missing", "storage_full",
)  # fmt: skip

_FIELD_PROBLEMS = ("missing_field", "too_long", "control_character", "bad_expiry", "out_of_range")
_PATCH_TYPES = ("application/merge-patch+json", "application/json")
_EXAMPLE = {"name": "web shop", "owner": "ann", "scopes": ["upload", "read"], "expires_at": "2027-11-22T00:00:00Z"}

KeyId = Annotated[str, Path(description="Id of the key.", examples=["019ac4f1d2a07be31c55"])]


@router.post(
    "/keys",
    operation_id="create_key",
    summary="Create an API key",
    status_code=201,
    response_description="The key, which is shown only now",
    openapi_extra=json_request("KeyBody", _EXAMPLE),
    responses={
        201: model_response(CreatedApiKey),
        **problem_responses(*_BODY_PROBLEMS, *_FIELD_PROBLEMS, "bad_owner", "bad_scopes"),
    },
)
@requires(Scope.ADMIN)
async def create_key(request: Request, services: ServicesDep) -> Response:
    """Create a key of an owner. The service stores its hash, so `key` in the response is shown only once.

    If the response is lost, find the key by `name` in the list, revoke it, and create another one.
    """
    body = await read_json_body(request)

    def create() -> CreatedApiKey:
        members = JsonObject.parse(body, ("name", "owner", "scopes", "expires_at", *OWN_LIMITS))
        return CreatedApiKey.of(
            *services.key_admin.create(
                name=_text(members, "name", "says what the key is for"),
                owner=_text(members, "owner", "whose images are uploaded with the key"),
                scopes=_scopes(members),
                expires_at=_expiry(members),
                own_limits=OwnLimits(**{name: _number(members, name) for name in OWN_LIMITS}),
            )
        )

    return json_answer(await run_in_threadpool(create), 201, _SECRET)


@router.get(
    "/keys",
    operation_id="list_keys",
    summary="List API keys",
    responses={200: model_response(ApiKeyList), **problem_responses("bad_cursor", "invalid_request")},
)
@requires(Scope.ADMIN)
def list_keys(
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Keys per page.")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the previous page.")] = None,
) -> Response:
    """List the keys of all owners, newest first, without their secrets. Keys in the settings are not listed."""
    paging = Paging(services.cursors, _KEYS, limit, cursor)
    found, following = paging.read(services.key_admin.list, lambda key: key.id)
    shown = [ApiKeyView.build(key) for key in found]
    return json_answer(ApiKeyList(items=shown, next_cursor=following), headers=_CACHING)


@router.patch(
    "/keys/{key_id}",
    operation_id="edit_key",
    summary="Change an API key",
    response_description="The key after the change",
    openapi_extra=json_request("KeyPatch", {"rate_limit": 5, "quota_bytes": 1_000_000_000}, _PATCH_TYPES),
    responses={
        200: model_response(ApiKeyView),
        **problem_responses(*_BODY_PROBLEMS, *_FIELD_PROBLEMS, "key_not_found"),
    },
)
@requires(Scope.ADMIN)
async def edit_key(request: Request, key_id: KeyId, services: ServicesDep) -> Response:
    """Change name, expiry and limits of a key: the fields that the body names. Null sets the default.

    Other processes and functions follow within 30 seconds. Owner and scopes of a key stay: create another key for
    others.
    """
    body = await read_json_body(request, _PATCH_TYPES, headers={"Accept-Patch": ", ".join(_PATCH_TYPES)})

    def edit() -> ApiKeyView:
        given = parse_object(body)
        if unknown := given.keys() - set(CHANGEABLE):
            raise unknown_fields(unknown, CHANGEABLE)
        members = JsonObject(given)
        changes: dict[str, Any] = {name: _number(members, name) for name in OWN_LIMITS if name in given}
        if "name" in given:
            changes["name"] = _text(members, "name", "says what the key is for")
        if "expires_at" in given:
            changes["expires_at"] = _expiry(members)
        return ApiKeyView.build(services.key_admin.edit(key_id, changes))

    return json_answer(await run_in_threadpool(edit), headers=_CACHING)


@router.post(
    "/keys/{key_id}/rotate",
    operation_id="rotate_key",
    summary="Rotate an API key",
    response_description="The new key, which is shown only now",
    openapi_extra=json_request("KeyRotation", {"grace_seconds": GRACE_SECONDS}, required=False),
    responses={
        200: model_response(CreatedApiKey),
        **problem_responses(*_BODY_PROBLEMS, "out_of_range", "key_not_found", "expired_key", "too_many_secrets"),
    },
)
@requires(Scope.ADMIN)
async def rotate_key(request: Request, key_id: KeyId, services: ServicesDep) -> Response:
    """Give a key a new secret. The old key stays valid for 24 hours, or for `grace_seconds`.

    Id, owner, scopes and expiry stay. A key that was rotated several times can have five valid secrets.
    """
    members = await read_optional_object(request, ("grace_seconds",))
    grace = check_grace(_grace_seconds(members))
    return json_answer(
        CreatedApiKey.of(*await run_in_threadpool(services.key_admin.rotate, key_id, grace)), headers=_SECRET
    )


@router.delete(
    "/keys/{key_id}",
    operation_id="revoke_key",
    summary="Revoke an API key",
    status_code=204,
    response_description="The key is not valid any more",
    responses=problem_responses("invalid_request", "key_not_found"),
)
@requires(Scope.ADMIN)
def revoke_key(key_id: KeyId, services: ServicesDep) -> Response:
    """Revoke a key with all its secrets. Other processes and functions refuse it within 30 seconds.

    Idempotent: an unknown id is no error, but a text that is no id is one. The images of the owner stay.
    """
    services.key_admin.revoke(key_id)
    return Response(status_code=204)


def _text(members: JsonObject, name: str, what: str) -> str:
    text = members.text(name)
    if text is None:
        raise missing_field(name, what)
    return text


def _scopes(members: JsonObject) -> list[str]:
    value = members.value("scopes")
    if value is None:
        raise missing_field("scopes", f"a list of {', '.join(Scope)}")
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise wrong_type("scopes", "a list of strings", value)
    if len(value) > MAX_SCOPES:
        detail = f"`scopes` has {len(value)} entries. The limit is {MAX_SCOPES}: name each scope once."
        raise refusal("too_long", detail, field="scopes", measured=len(value), limit=MAX_SCOPES)
    return value


def _expiry(members: JsonObject) -> datetime | None:
    text = members.text("expires_at")
    if text is None:
        return None
    try:
        return _TIMESTAMP.validate_python(text)
    except ValidationError:
        found = text[:_FOUND_CHARACTERS]
        detail = f"`expires_at` must be a date and time with a zone, such as 2027-11-22T00:00:00Z (found: {found!a})."
        raise refusal("bad_expiry", detail, field="expires_at", found=found) from None


def _grace_seconds(members: JsonObject) -> int:
    value = _number(members, "grace_seconds")
    return GRACE_SECONDS if value is None else value


def _number(members: JsonObject, name: str) -> Any:
    """Return a number, which is whole unless it is a rate; None if it is absent."""
    value = members.value(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if name == "rate_limit" and isinstance(value, float):
        return value
    raise wrong_type(name, "a number" if name == "rate_limit" else "a whole number", value)
