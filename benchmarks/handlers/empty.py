"""Empty handler: the start of Python and Lambda's runtime client alone."""

from typing import Any


def handler(event: Any, context: Any) -> None:
    """Answer at once."""
