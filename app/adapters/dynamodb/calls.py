"""Calls to DynamoDB that end in an answer, a named failure, or `Unavailable`."""

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from app.domain.errors import PortError, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Beside the SDK's own retries, which know neither a conflict nor a cancelled transaction.
_ATTEMPTS = 7
_BASE_SECONDS = 0.03
_CONFLICT = "TransactionConflictException"
_TRANSIENT = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_REFUSED = "ConditionalCheckFailed"


class Refused(PortError):
    """A condition did not hold. `reasons` has one entry a transaction item: the item found there, `{}` if there was
    none or it was not asked for, or None where nothing was refused. Stays inside this folder."""

    def __init__(self, reasons: Sequence[dict[str, Any] | None]) -> None:
        super().__init__("a condition did not hold")
        self.reasons = reasons


def call(operation: Callable[..., T], /, **arguments: Any) -> T:
    """One request, again after a conflict with a transaction. Raises `Refused` for a failed condition and
    `Unavailable` for every other failure."""
    for attempt in range(_ATTEMPTS):
        try:
            return operation(**arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code == f"{_REFUSED}Exception":
                found: Any = error.response.get("Item")
                raise Refused([found or {}]) from None
            if code != _CONFLICT:
                raise _unavailable(operation, error) from error
        except BotoCoreError as error:
            raise _unavailable(operation, error) from error
        pause(attempt)
    raise Unavailable("The records are busy.")


def transact(client: Any, items: Sequence[dict[str, Any]]) -> None:
    """All of the items or none. Waits a little, with jitter, for other transactions on the same items.

    The SDK gives each call a token of its own, so its retry of a request whose answer was lost writes nothing twice.
    """
    for attempt in range(_ATTEMPTS):
        try:
            client.transact_write_items(TransactItems=list(items))
        except ClientError as error:
            reasons: Any = error.response.get("CancellationReasons")
            if reasons is None:
                raise _unavailable(client.transact_write_items, error) from error
            codes = {reason.get("Code") for reason in reasons}
            if _REFUSED in codes:
                raise Refused([r.get("Item") or {} if r.get("Code") == _REFUSED else None for r in reasons]) from None
            if not codes & _TRANSIENT:
                raise _unavailable(client.transact_write_items, error, sorted(codes - {"None"})) from error
        except BotoCoreError as error:
            raise _unavailable(client.transact_write_items, error) from error
        else:
            return
        pause(attempt)
    raise Unavailable("The records are busy.")


def pause(attempt: int) -> None:
    """Wait with full jitter, longer each time: 30 ms, 60 ms, ... at most."""
    time.sleep(random.uniform(0, _BASE_SECONDS * 2**attempt))  # noqa: S311 - jitter is no secret


def _unavailable(operation: Callable[..., Any], error: Exception, reasons: Sequence[str] = ()) -> Unavailable:
    """What an operator needs to find the cause, without the SDK's message: that can quote what people wrote."""
    response: Any = error.response if isinstance(error, ClientError) else {}
    log.warning(
        "DynamoDB refused or did not answer",
        extra={
            "operation": operation.__name__,
            "error": response.get("Error", {}).get("Code") or type(error).__name__,
            "aws_request_id": response.get("ResponseMetadata", {}).get("RequestId"),
            "reasons": list(reasons),
        },
    )
    return Unavailable("The records cannot be reached.")
