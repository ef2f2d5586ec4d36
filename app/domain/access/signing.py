"""Signatures of cursors and urls."""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence

from app.domain.errors import Malformed

_MAC_BYTES = 16
_KEY_ID_BYTES = 4
_CURSOR_CHARACTERS = 512


class Signer:
    """HMAC-SHA-256, truncated to 128 bits. A signature is valid for its purpose only.

    A signature begins with the id of its key, so that several secrets can be valid at once: `secret` signs, and those
    in `previous` still verify.
    """

    def __init__(self, secret: bytes, previous: Sequence[bytes] = ()) -> None:
        if any(len(each) < 16 for each in (secret, *previous)):
            raise ValueError("the signing secret must be at least 16 bytes long")
        self._secret = secret
        self._secrets = {_key_id(each): each for each in (*previous, secret)}
        #: Id of the key that signs. It does not reveal the secret.
        self.key_id = _key_id(secret)

    def sign(self, purpose: str, text: str) -> str:
        """Sign a text; return the signature: key id and, in URL-safe base64, code. It needs no quoting in a url."""
        return f"{self.key_id}.{_encode(_mac(self._secret, purpose, text))}"

    def verify(self, purpose: str, text: str, signature: str) -> bool:
        """Return True if the signature is that of the text under a valid key. Takes constant time for each key id."""
        key_id, _, code = signature.partition(".")
        secret = self._secrets.get(key_id)
        if secret is None:
            return False
        return hmac.compare_digest(_encode(_mac(secret, purpose, text)).encode(), code.encode(errors="replace"))

    def derive_keys(self, purpose: str) -> Sequence[bytes]:
        """Derive a key of 32 bytes from each valid secret, the one that signs first. A key does not reveal its
        secret."""
        secrets = dict.fromkeys([self._secret, *self._secrets.values()])
        return [hmac.digest(secret, f"derive\0{purpose}".encode(), "sha256") for secret in secrets]


def _mac(secret: bytes, purpose: str, text: str) -> bytes:
    message = f"{purpose}\0{text}".encode(errors="surrogatepass")
    return hmac.digest(secret, message, "sha256")[:_MAC_BYTES]


def _key_id(secret: bytes) -> str:
    return _mac(secret, "key id", "")[:_KEY_ID_BYTES].hex()


class Cursors:
    """Opaque positions in a list, each valid for one query only."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def write(self, position: str, query: Mapping[str, object]) -> str:
        """Build a cursor that continues after this position."""
        return f"{_encode(position.encode())}.{self._signer.sign('cursor', _bound(position, query))}"

    def read(self, cursor: str, query: Mapping[str, object]) -> str:
        """Read the position in a cursor. Raises `Malformed` for one that was altered or made for another query."""
        encoded, _, signature = cursor.partition(".")
        position = _decode(encoded) if len(cursor) <= _CURSOR_CHARACTERS else None
        if position is None or not self._signer.verify("cursor", _bound(position, query), signature):
            raise Malformed(
                "bad_cursor",
                "Invalid `cursor`. Send `next_cursor` of the previous page unchanged, with the same filters.",
            )
        return position


def _bound(position: str, query: Mapping[str, object]) -> str:
    return json.dumps([position, query], sort_keys=True, default=str)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> str | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        return None
