"""A multipart form with one file, in pieces."""

from collections.abc import Iterator, Mapping
from secrets import token_hex

from darkroom.sources import Content


class Form:
    """A form with text fields and the payload as its file."""

    def __init__(self, payload: Content, fields: Mapping[str, str]) -> None:
        boundary = token_hex(16)
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'
                 for name, value in fields.items()]  # fmt: skip
        filename = _quoted(payload.filename or "image")
        disposition = f'form-data; name="file"; filename="{filename}"'
        parts.append(
            f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: {payload.content_type}\r\n\r\n"
        )
        self._payload = payload
        self._head = "".join(parts).encode("utf-8", "replace")
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + payload.bytes + len(self._tail)),
        }

    def pieces(self) -> Iterator[bytes]:
        """Yield the body."""
        yield self._head
        yield from self._payload.pieces()
        yield self._tail


def _quoted(text: str) -> str:
    """Escape a name as browsers do."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
