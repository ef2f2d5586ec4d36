"""Chromium without what Playwright adds: its copy of every request takes processor time that no user spends.

The protocol is Chromium's own, over a pipe: https://chromedevtools.github.io/devtools-protocol/
"""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

_SECONDS = 600
_LOOK_SECONDS = 0.1


class Chromium:
    """A browser in the background, with a profile of its own. Use it as a context manager."""

    def __init__(self, program: str, options: Sequence[str], profile: Path) -> None:
        """Start the browser. It reads commands from descriptor 3 and writes answers to 4."""
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        script = f'exec "$0" "$@" 3<&{to_read} 4>&{from_write}'
        flags = ["--headless", "--no-sandbox", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["sh", "-c", script, program, *options, *flags],
            pass_fds=(to_read, from_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        self._commands = os.fdopen(to_write, "wb", buffering=0)
        self._answers = os.fdopen(from_read, "rb", buffering=0)
        self._received = b""
        self._last_id = 0

    def __enter__(self) -> Self:
        """Return the browser."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the browser and wait until it has ended."""
        self.call("Browser.close")
        self._process.wait(_SECONDS)
        self._commands.close()
        self._answers.close()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Send a command and return its result. Raises `RuntimeError` if the browser refuses it or ends."""
        self._last_id += 1
        command = {"id": self._last_id, "method": method, "params": parameters}
        self._commands.write(json.dumps(command | ({"sessionId": session} if session else {})).encode() + b"\0")
        while (answer := self._next_message()).get("id") != self._last_id:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _next_message(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            chunk = self._answers.read(65536)
            if not chunk:
                raise RuntimeError("the browser has ended")
            self._received += chunk
        message, _, self._received = self._received.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


class Tab:
    """A tab of the browser."""

    def __init__(self, browser: Chromium, url: str) -> None:
        """Open the url."""
        self._browser = browser
        self._target = browser.call("Target.createTarget", url=url)["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        answer = self._browser.call("Runtime.evaluate", self._session, expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return answer["result"].get("value")

    def wait_until(self, expression: str) -> None:
        """Wait until the expression is true. Raises `TimeoutError`."""
        deadline = monotonic() + _SECONDS
        while not self.evaluate(expression):
            if monotonic() > deadline:
                raise TimeoutError(expression)
            sleep(_LOOK_SECONDS)

    def choose_files(self, selector: str, paths: Sequence[Path]) -> None:
        """Choose files in the input that the selector names."""
        root = self._browser.call("DOM.getDocument", self._session)["root"]["nodeId"]
        node = self._browser.call("DOM.querySelector", self._session, nodeId=root, selector=selector)["nodeId"]
        self._browser.call("DOM.setFileInputFiles", self._session, files=[str(path) for path in paths], nodeId=node)
        self._browser.call("DOM.disable", self._session)

    def close(self) -> None:
        """Close the tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)
