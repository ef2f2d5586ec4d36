"""Changes of a record whose image cannot be processed."""

from datetime import datetime

from app.domain.media import UNKNOWN_TYPE
from app.domain.models import Changes, Failure, FailureCode, Image, Status
from app.domain.work import Task

#: Detail of `attempts_exhausted`.
EXHAUSTED = "Processing failed in every attempt. The log of the service has the cause."


def mark_failed(image: Image, code: FailureCode, detail: str, now: datetime) -> Changes:
    """Return the changes that make a record `failed`.

    `upload_expires_at` is removed, because the bytes have arrived and the record stays. The type that the ticket was
    issued for is removed too: a caller that has detected the type of the bytes adds it.
    """
    error = Failure(code=code, detail=detail)
    changes: Changes = {
        "status": Status.FAILED,
        "error": error,
        "processed_at": now,
        "upload_expires_at": None,
        "work": {Task.PROCESS: None},
    }
    return changes if image.upload_expires_at is None else changes | {"content_type": UNKNOWN_TYPE}


def mark_exhausted(image: Image, now: datetime) -> Changes:
    """Return the changes of a record whose every attempt has failed. A `ready` image keeps its variants."""
    if image.status is not Status.READY:
        return mark_failed(image, FailureCode.ATTEMPTS_EXHAUSTED, EXHAUSTED, now)
    failure = Failure(code=FailureCode.ATTEMPTS_EXHAUSTED, detail=EXHAUSTED)
    return {"reprocess_error": failure, "work": {Task.PROCESS: None}}
