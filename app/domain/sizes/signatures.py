"""Signatures of sizes that are not offered to everybody."""

import base64
import hashlib
import hmac

from app.domain.access.signing import Signer

_PURPOSE = "sizes on demand"
_MAC_BYTES = 16


class SizeSignatures:
    """HMAC-SHA-256 over the id and the normalized text of a query, truncated to 128 bits, in URL-safe base64.

    The key is derived from the secret of the service, so a front end that signs sizes can sign nothing else. That of a
    previous secret still verifies.
    """

    def __init__(self, signer: Signer) -> None:
        self._keys = signer.derive_keys(_PURPOSE)

    @property
    def key(self) -> bytes:
        """Key that signs."""
        return self._keys[0]

    def sign(self, image_id: str, text: str) -> str:
        """Return the signature of a query's `text`."""
        return _signature(self.key, image_id, text)

    def verify(self, image_id: str, text: str, signature: str) -> bool:
        """Return True if the signature is that of the query. Takes constant time."""
        given = signature.encode(errors="replace")
        matches = [hmac.compare_digest(_signature(key, image_id, text).encode(), given) for key in self._keys]
        return any(matches)


def _signature(key: bytes, image_id: str, text: str) -> str:
    code = hmac.digest(key, f"{image_id}/{text}".encode(), hashlib.sha256)[:_MAC_BYTES]
    return base64.urlsafe_b64encode(code).rstrip(b"=").decode()
