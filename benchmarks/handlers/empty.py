"""Nothing: what Python and Lambda's runtime client take by themselves."""

from typing import Any


def handler(event: Any, context: Any) -> None:
    """Answers at once."""
