"""Reader of uploads whose body is the image itself. The fields are in the query."""

from fastapi import Request

from app.api.bodies.part_headers import decode_name, read_disposition_filename
from app.api.bodies.reader import UploadFields
from app.api.bodies.spool import Spool
from app.api.http.form_fields import TextFields, resolve_field
from app.api.http.problem_catalog import refusal
from app.domain.errors import RequestError
from app.domain.uploads.descriptions import parse_media_type

#: Accepted types of bodies, as an error lists them.
FORMS = ("multipart/form-data", "application/json", "image/*", "application/octet-stream")


def unsupported_body(content_type: str) -> RequestError:
    """Build the error of a body of another type, or of an empty body without a type."""
    found = content_type.partition(";")[0].strip().lower()[:80] or None
    return refusal("unsupported_body", found=found, accepted=list(FORMS))


class RawBody:
    """Write the body into the spool."""

    def __init__(self, request: Request, spool: Spool, limit: int) -> None:
        """Read into a spool of at most `limit` bytes."""
        self.max_bytes = limit
        self.kept_bytes = 0
        self._request = request
        self._spool = spool

    def feed(self, chunk: bytes) -> None:
        """See `BodyReader`."""
        self._spool.write(chunk)

    def finish(self) -> UploadFields:
        """See `BodyReader`."""
        query, headers = self._request.query_params, self._request.headers
        if not self._spool.size:
            if "content-type" not in headers:
                raise unsupported_body("")
            raise refusal("empty_body")
        fields = TextFields()
        for name, value in query.multi_items():
            if field := resolve_field(name):
                fields.add(field, value.encode())
        filename = query.get("filename")
        if filename is None:  # WordPress and others send it in a header
            filename = decode_name(read_disposition_filename(headers.get("content-disposition", "").encode("latin-1")))
        members = fields.parse()
        return UploadFields(
            filename=filename,
            declared_content_type=parse_media_type(headers.get("content-type")),
            description=members.parse_description(),
            owner=members.text("owner"),
        )
