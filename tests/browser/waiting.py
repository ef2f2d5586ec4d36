"""Wait for conditions in pages whose Content-Security-Policy forbids `eval`, and keep what would go away meanwhile."""

import time
from collections.abc import Callable
from typing import Any

SECONDS = 120

#: Put the pointer on each toast, so that it stays: on a busy machine its seconds may be over before a test looks.
KEEP_TOASTS = """
new MutationObserver((changes) => {
  for (const { addedNodes } of changes) {
    for (const each of addedNodes) {
      if (each.classList?.contains("toast")) each.dispatchEvent(new PointerEvent("pointerenter"));
    }
  }
}).observe(document, { childList: true, subtree: true });
"""


def wait_until(page: Any, expression: str, arg: Any = None, seconds: float = SECONDS) -> None:
    """Wait until the JavaScript expression is true.

    Playwright's `wait_for_function` evaluates its expression in the page from the second look on, which such a page
    refuses.
    """
    until(page, lambda: page.evaluate(expression, arg), expression, seconds)


def until(page: Any, condition: Callable[[], object], explanation: object = None, seconds: float = SECONDS) -> None:
    """Wait until the condition is true. Events of the page and its held requests arrive meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explanation
        page.wait_for_timeout(50)


def stop_time(page: Any) -> None:
    """Stop the clock that was installed in the page. From now on its time passes by `run_for` only, until `resume`."""
    page.clock.pause_at(page.evaluate("Date.now()") + 3_600_000)
