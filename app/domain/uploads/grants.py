"""Grants of upload tickets, and the urls that the self-hosted server makes of them."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, urlencode

from app.domain.access.file_seal import FileSeal
from app.domain.access.signing import Signer
from app.domain.errors import Forbidden, Malformed
from app.domain.keys import original_key
from app.domain.models import Image, utcnow
from app.domain.ports import ObjectStore
from app.domain.times import is_implausible
from app.domain.uploads.tickets import TICKET_LIFE

#: Headers of a ticket's request, in addition to its length: they are signed, so none may be left out or changed.
CONTENT_TYPE = "Content-Type"
WRITE_ONCE = "If-None-Match"
CHECKSUM = "x-amz-checksum-sha256"
#: Characters of a header that an error shows.
_FOUND_CHARACTERS = 80
_REMEDY = "Send the announced file, or request another ticket."


def grant_headers(image: Image) -> dict[str, str]:
    """Build the headers of a ticket: content type, write-once, and the checksum if the client gave one."""
    headers = {CONTENT_TYPE: image.content_type, WRITE_ONCE: "*"}
    if image.sha256:
        headers[CHECKSUM] = base64.b64encode(bytes.fromhex(image.sha256)).decode()
    return headers


class Granted(NamedTuple):
    """Object that may be written: size, type, and checksum if there is one."""

    bytes: int
    headers: Mapping[str, str]

    def check(self, length: str | None, headers: Mapping[str, str]) -> None:
        """Raise `Forbidden` unless the request is the one that was signed, as S3 does. `headers` are the request's."""
        if length is None or not (length.isascii() and length.isdigit()) or int(length) != self.bytes:
            found = "none" if length is None else ascii(length[:_FOUND_CHARACTERS])
            detail = f"The ticket is for {self.bytes:,} bytes (found in Content-Length: {found}). {_REMEDY}"
            raise Forbidden("grant_mismatch", detail, expected_bytes=self.bytes, declared=length)
        for name, value in self.headers.items():
            if (sent := headers.get(name)) != value:
                found = "none" if sent is None else ascii(sent[:_FOUND_CHARACTERS])
                detail = f"The ticket requires the header `{name}: {value}` (found: {found}). Send exactly its headers."
                raise Forbidden("grant_mismatch", detail, header=name)

    def check_content(self, sha256: str) -> None:
        """Raise `Malformed` unless these are the bytes whose checksum was signed."""
        expected = self.headers.get(CHECKSUM)
        if expected is not None and base64.b64encode(bytes.fromhex(sha256)).decode() != expected:
            detail = f"The SHA-256 of the bytes is not that of the ticket. {_REMEDY}"
            raise Malformed("bad_digest", detail, sha256=sha256)


class ServedGrants:
    """`GrantSource` of the self-hosted server, which is the object store at `/files/originals/<id>`."""

    def __init__(self, signer: Signer, public_url: str | None = None) -> None:
        self._signer = signer
        self._base = f"{(public_url or '').rstrip('/')}/files/"

    def grant(self, image: Image, life: timedelta) -> tuple[str, dict[str, str]]:
        """See `GrantSource.grant`."""
        key = original_key(image.id)
        headers = grant_headers(image)
        parameters = {
            "bytes": str(image.bytes),
            "type": headers[CONTENT_TYPE],
            "checksum": headers.get(CHECKSUM, ""),
            "expires": str(int((utcnow() + life).timestamp())),
        }
        parameters["signature"] = self._signer.sign("grant", _signed(key, parameters))
        return f"{self._base}{quote(key)}?{urlencode(parameters)}", headers

    def granted(self, key: str, parameters: Mapping[str, str]) -> Granted:
        """Return what the url grants for this key. Raises `Forbidden` for a url that was altered or has expired, and
        for one that expires later than any ticket can: it was signed before the clock was set back."""
        names = {"bytes", "type", "checksum", "expires", "signature"}
        complete = parameters.keys() == names
        if not complete or not self._signer.verify("grant", _signed(key, parameters), parameters["signature"]):
            raise Forbidden("bad_signature", "The url is not as the ticket gave it: ask for another.")
        expires, now = datetime.fromtimestamp(int(parameters["expires"]), UTC), utcnow()
        if expires <= now or is_implausible(expires, now, TICKET_LIFE):
            raise Forbidden("url_expired", "The upload ticket has expired. Request a new one: POST /upload/direct.")
        headers = {CONTENT_TYPE: parameters["type"], WRITE_ONCE: "*"}
        if parameters["checksum"]:
            headers[CHECKSUM] = parameters["checksum"]
        return Granted(int(parameters["bytes"]), headers)


class LocalStore(NamedTuple):
    """Parts by which a server acts as the object store.

    The store of tickets' bytes, their grants, and the signatures of urls of files.
    """

    store: ObjectStore
    grants: ServedGrants
    seal: FileSeal


def _signed(key: str, parameters: Mapping[str, str]) -> str:
    return "\n".join([key, *(parameters[name] for name in ("bytes", "type", "checksum", "expires"))])
