"""Refusals of bytes that are sent with an upload ticket."""

from app.domain.errors import Gone, PreconditionFailed, RequestError


def used_ticket(image_id: str) -> RequestError:
    """Build the refusal of a second upload."""
    return PreconditionFailed(
        "already_there",
        "The upload ticket has been used: its image is stored, and nothing has to be sent again. Get its record: "
        f"GET /images/{image_id}.",
        image_id=image_id,
    )


def ticket_gone() -> RequestError:
    """Build the refusal of an upload whose record is gone."""
    return Gone(
        "ticket_gone",
        "The upload ticket no longer waits for an image: the image was deleted, or the ticket has expired. Nothing was "
        "stored. Request a new ticket: POST /upload/direct.",
    )
