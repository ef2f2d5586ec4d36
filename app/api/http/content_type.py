"""Content types of request bodies."""

#: Types that say no more than "bytes". Without any type the body is read as bytes, too: `fetch` sends none with a
#: buffer, nor with a file whose type the browser does not know.
_BYTES = frozenset({"application/octet-stream", "binary/octet-stream"})


def is_raw(content_type: str) -> bool:
    """Return True for the `Content-Type` of a body that is an image, or for none."""
    form = content_type.partition(";")[0].strip().lower()
    return not content_type.strip() or form in _BYTES or form.startswith("image/")
