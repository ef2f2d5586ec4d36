"""Calls to DynamoDB that return, raise `Refused`, or raise `Unavailable`."""

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from app.domain.errors import PortError, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

#: In addition to the retries of the SDK, which covers neither conflicts nor canceled transactions.
_ATTEMPTS = 7
_BASE_SECONDS = 0.03
_CONFLICT = "TransactionConflictException"
_TRANSIENT = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_REFUSED = "ConditionalCheckFailed"


class Refused(PortError):
    """A condition failed. Not raised outside this package.

    `reasons` has one entry per item of the transaction: the existing item, `{}` if there is none or it was not
    requested, or None if the condition of that item held.
    """

    def __init__(self, reasons: Sequence[dict[str, Any] | None]) -> None:
        super().__init__("a condition failed")
        self.reasons = reasons


def call(operation: Callable[..., T], /, **arguments: Any) -> T:
    """Send a request; repeat it after a conflict with a transaction. Raises `Refused` for a failed condition and
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
    raise Unavailable("The database is busy.")


def transact(client: Any, items: Sequence[dict[str, Any]]) -> None:
    """Write all items or none. Waits with jitter for other transactions on the same items.

    The SDK gives each call its own token, so its retry after a lost response writes nothing twice.
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
    raise Unavailable("The database is busy.")


def pause(attempt: int) -> None:
    """Wait with full jitter: at most 30 ms after the first attempt, twice as long after each further one."""
    time.sleep(random.uniform(0, _BASE_SECONDS * 2**attempt))  # noqa: S311 - jitter need not be secret


def _unavailable(operation: Callable[..., Any], error: Exception, reasons: Sequence[str] = ()) -> Unavailable:
    """Log codes and ids of a failure. The SDK's message is left out because it can quote users' data."""
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
    return Unavailable("The database cannot be reached.")
