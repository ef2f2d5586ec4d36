"""Values of options that `upload` and the commands for images share."""

from enum import StrEnum

DEFAULT_URL = "http://127.0.0.1:8000"


class Visibility(StrEnum):
    """Visibility of the variants of an image."""

    PRIVATE = "private"
    PUBLIC = "public"
