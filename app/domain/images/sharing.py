"""Share links: signed urls of the API that show one image to people without an API key."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from app.domain.access.signing import Signer
from app.domain.errors import Forbidden
from app.domain.models import utcnow
from app.domain.times import is_implausible

#: Limits and default of the life of a share link, in seconds.
MIN_SECONDS, MAX_SECONDS, DEFAULT_SECONDS = 60, 30 * 24 * 3600, 24 * 3600


class ShareLinks:
    """Signatures of share links. Each is valid for one image, one variant or the largest, until it expires.

    The image is looked up at each use, so a link ends with the image.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def query(self, image_id: str, variant: str | None, expires_at: datetime) -> str:
        """Build the query of a link. `variant` is a name; None stands for the largest variant."""
        expires = str(int(expires_at.timestamp()))
        signature = self._signer.sign("share", _signed(image_id, variant, expires))
        return urlencode({"expires": expires, "signature": signature})

    def check(self, image_id: str, variant: str | None, expires: str, signature: str) -> None:
        """Raise `Forbidden` for a link that was altered or has expired, and for one that expires later than any link
        can: it was signed before the clock was set back."""
        good = expires.isascii() and expires.isdigit() and len(expires) < 12
        if not good or not self._signer.verify("share", _signed(image_id, variant, expires), signature):
            raise Forbidden("bad_signature", "Invalid signature of the share link. Ask its owner for a new one.")
        ends, now = datetime.fromtimestamp(int(expires), UTC), utcnow()
        if ends <= now or is_implausible(ends, now, timedelta(seconds=MAX_SECONDS)):
            raise Forbidden("url_expired", "The share link has expired. Ask its owner for a new one.")


def _signed(image_id: str, variant: str | None, expires: str) -> str:
    return f"{image_id}\n{variant or ''}\n{expires}"
