"""Content types of request bodies."""

#: Types that say nothing about the format. A body without any type is read as bytes too: `fetch` sends none with a
#: buffer, nor with a file whose type the browser does not know.
_BYTES = frozenset({"application/octet-stream", "binary/octet-stream"})


def is_raw(content_type: str) -> bool:
    """Return True if the body is the image itself, by its `Content-Type`; also if that is empty."""
    form = content_type.partition(";")[0].strip().lower()
    return not content_type.strip() or form in _BYTES or form.startswith("image/")
