"""Forms are read alike in any chunks, and any bytes are either read or refused."""

import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api.bodies.multipart import MultipartBody
from app.api.bodies.spool import Spool, Spools
from app.domain.errors import RequestError

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)
PIECES = [
    b"--B\r\n", b"--B \t\r\n", b"--B--", b"--B--\r\n", b"--BX\r\n", b"\r\n", b"\n", b"\r", b"--", b"-", b"B", b"hello",
    b'Content-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n',
    b'Content-Disposition: form-data; name="file"; filename=""\r\n\r\n',
    b'Content-Disposition: form-data; name="title"\r\n\r\n', b'Content-Disposition: form-data; name="tags[]"\r\n\r\n',
    b'Content-Disposition: form-data; name="x"\r\n\r\n', b'Content-Disposition: form-data; name="_charset_"\r\n\r\n',
    b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Type: text/plain; charset=utf-16\r\n", b"AAAA", b"=C3=A9", b"=\r\n", b"\xff", b"utf-8",
]  # fmt: skip
CUTS = st.lists(st.integers(0, 2_000), max_size=12)


def read(body: bytes, cuts: list[int]) -> tuple[Any, bytes]:
    """Read a form in these pieces; return its result or error, and the bytes of its file."""
    spool = Spool(Spools(None, 10_000_000), 10_000_000)  # type: ignore[arg-type]  # no store: everything is in memory
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    try:
        reader = MultipartBody("multipart/form-data; boundary=B", spool, 10_000_000)
        for start, end in itertools.pairwise(places):
            reader.feed(body[start:end])
        return reader.finish(), spool.rewind().read()
    except RequestError as error:
        return (type(error), error.code), b""
    finally:
        spool.close()


@UNHURRIED
@given(st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join), CUTS)
def test_a_form_is_read_alike_in_any_chunks(body: bytes, cuts: list[int]) -> None:
    assert read(body, cuts) == read(body, [])


@UNHURRIED
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=20).map(b"".join), CUTS)
def test_file_bytes_of_any_value_are_read_unchanged(content: bytes, cuts: list[int]) -> None:
    content = b"x" + content.replace(b"\r\n--B", b"x")
    head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    assert read(head + content + b"\r\n--B--", cuts)[1] == content
