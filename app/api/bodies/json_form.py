"""Reader of uploads as JSON. The body is kept in memory and parsed at its end."""

from app.api.bodies.base64_stream import decode_text
from app.api.bodies.reader import UploadFields
from app.api.bodies.spool import Spool
from app.api.http.json_object import JsonObject
from app.api.http.problem_catalog import refusal
from app.domain.errors import RequestError
from app.domain.uploads.descriptions import NAMES, parse_media_type
from app.domain.uploads.field_values import missing_field

#: Most bytes of the body in addition to its strings. A list of empty lists would need fifty times its bytes in memory.
REST_BYTES = 64 * 1024
IMAGE = "image_base64"
URL = "url"
KNOWN = ("filename", "content_type", IMAGE, URL, *NAMES, "owner")


class JsonBody:
    """Parse a JSON object, and decode its member `image_base64` into the spool unless it has a `url`."""

    def __init__(self, spool: Spool, max_bytes: int) -> None:
        """Read a body of at most `max_bytes`."""
        self.max_bytes = max_bytes
        self._spool = spool
        self._body = bytearray()

    @property
    def kept_bytes(self) -> int:
        """See `BodyReader`."""
        return len(self._body)

    def feed(self, chunk: bytes) -> None:
        """See `BodyReader`."""
        self._body += chunk

    def too_large(self, declared: int | None, received: int) -> RequestError:
        """Build the error of a body over the limit."""
        measured = {"received_bytes": received} if declared is None else {"declared_bytes": declared}
        detail = (
            f"The JSON body is larger than {self.max_bytes:,} bytes. Send the image as a form or as the body itself."
        )
        return refusal("body_too_large", detail, limit_bytes=self.max_bytes, **measured)

    def finish(self) -> UploadFields:
        """See `BodyReader`."""
        body, self._body = self._body, bytearray()  # the reader lives as long as the request
        document = JsonObject.parse_long(body, KNOWN, REST_BYTES)
        image = document.text(IMAGE)
        url = document.text(URL)
        if image is not None and url is not None:
            raise refusal("two_files", f"Send `{IMAGE}` or `{URL}`, not both.", field=URL)
        if image is not None:
            decode_text(image, self._spool.write, IMAGE)
        elif url is None:
            raise missing_field(IMAGE, "the image as a base64 string")
        if image is not None and not self._spool.size:
            raise refusal("missing_field", f"`{IMAGE}` is empty.", field=IMAGE)
        return UploadFields(
            filename=document.text("filename"),
            declared_content_type=parse_media_type(document.text("content_type")),
            description=document.parse_description(),
            owner=document.text("owner"),
            url=url,
        )
