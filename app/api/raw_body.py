"""An upload whose body is the image itself; what describes it comes in the query."""

from fastapi import Request

from app.api.fields import media_type_word
from app.api.form_fields import TextFields, text_field
from app.api.part_headers import disposition_filename, name_text
from app.api.received import Received
from app.api.spool import Spool
from app.domain.errors import Malformed, UnsupportedType

#: Types that say no more than "bytes". Without any type the body is read as bytes, too: `fetch` sends none with a
#: buffer, nor with a file whose type the browser does not know.
_BYTES = frozenset({"application/octet-stream", "binary/octet-stream"})
#: The forms of a body, as a refusal names them.
FORMS = ("multipart/form-data", "application/json", "image/*", "application/octet-stream")


def is_raw(content_type: str) -> bool:
    """Return True for the `Content-Type` of a body that is an image, or for none."""
    form = content_type.partition(";")[0].strip().lower()
    return not content_type.strip() or form in _BYTES or form.startswith("image/")


def unsupported_body(content_type: str) -> UnsupportedType:
    """Build the refusal of a body of another type, or of nothing without a type."""
    detail = (
        "Unsupported body. Send a multipart form, JSON, or the image itself with its type, such as "
        "`Content-Type: image/jpeg`."
    )
    found = content_type.partition(";")[0].strip().lower()[:80] or None
    return UnsupportedType("unsupported_body", detail, found=found, accepted=list(FORMS))


class RawBody:
    """Puts the body into the spool as it is."""

    def __init__(self, request: Request, spool: Spool, limit: int) -> None:
        """Read into a spool that takes `limit` bytes."""
        self.max_bytes = limit
        self.kept_bytes = 0
        self._request = request
        self._spool = spool

    def feed(self, chunk: bytes) -> None:
        """See `BodyReader`."""
        self._spool.write(chunk)

    def finish(self) -> Received:
        """See `BodyReader`."""
        query, headers = self._request.query_params, self._request.headers
        if not self._spool.size:
            if "content-type" not in headers:
                raise unsupported_body("")
            raise Malformed("empty_body", "The body is empty.")
        fields = TextFields()
        for name, value in query.multi_items():
            if field := text_field(name):
                fields.add(field, value.encode())
        filename = query.get("filename")
        if filename is None:  # as WordPress and others have it
            filename = name_text(disposition_filename(headers.get("content-disposition", "").encode("latin-1")))
        declared = media_type_word(headers.get("content-type"))
        return Received(filename=filename, declared_type=declared, words=fields.words())
