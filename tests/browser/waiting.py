"""Wait for conditions in pages whose Content-Security-Policy forbids `eval`."""

import time
from typing import Any

SECONDS = 120


def wait_until(page: Any, expression: str, arg: Any = None, seconds: float = SECONDS) -> None:
    """Wait until the JavaScript expression is true.

    Playwright's `wait_for_function` evaluates its expression in the page from the second look on, which such a page
    refuses.
    """
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression, arg):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)
