"""Unix socket on which the API asks for sizes on demand.

A connection carries one request and one answer, each a line of JSON (`domain.ports.render_messages`).
"""

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol

from app.domain.errors import NotRenderable, PortError, RendererBusy, Unavailable
from app.domain.ports import RenderedSize
from app.domain.ports.render_messages import MAX_MESSAGE, RenderAnswer, RenderRequest
from app.domain.sizes.operation import Operation
from app.domain.unix_sockets import usable_path
from app.worker.on_demand.line import MAX_WAITING, RETRY_SECONDS, RenderLine

log = logging.getLogger(__name__)

#: Connections at the same time. Requests for equal sizes share a place in the line.
_MAX_CONNECTIONS = 4 * MAX_WAITING
#: Seconds for a request to arrive and for its answer to be read.
_MESSAGE_SECONDS = 5.0
#: Rounds of the event loop until every connection has started that was made before the path was removed: one sees it,
#: one accepts it, one starts it. A connection that starts after the server is closed would get no answer.
_ROUNDS_TO_START = 3
#: Seconds for which a size that cannot be rendered is refused again without trying, and the number of such sizes.
_REFUSED_SECONDS, _MAX_REFUSED = 60.0, 1024
#: Seconds that a size waits for memory, at most.
_MEMORY_SECONDS = 15.0


class Renderer(Protocol):
    """Renders sizes: `SizeRenderer`."""

    def find_owner(self, image_id: str) -> str:
        """Return the owner of an image. Raises `Missing`."""

    def render(self, image_id: str, operation: Operation, give_up: Callable[[], bool]) -> RenderedSize:
        """Render a size and store it."""


class RenderServer:
    """Answers on the socket at `path`, in a thread of its own. `at_once` renderings run at the same time.

    Only the user of this process can connect. An older socket at `path` is replaced: the lock of the data folder
    guarantees that no other worker answers on it.
    """

    def __init__(self, path: Path, renderer: Renderer, *, at_once: int) -> None:
        self._path = path
        self._renderer = renderer
        self._at_once = at_once
        self._line: RenderLine[RenderedSize] = RenderLine(at_once)
        self._refused: OrderedDict[tuple[str, str], tuple[float, NotRenderable]] = OrderedDict()
        self._connections = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sizes", daemon=True)

    def start(self) -> bool:
        """Listen. Returns False if the system refuses a socket at that path: sizes on demand do not work then."""
        self._thread.start()
        self._ready.wait()
        return self._loop is not None

    def stop(self) -> None:
        """Remove the socket, refuse the requests that wait, and wait for the renderings that run."""
        self._stopping.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # closed already
                self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError:
            log.exception("no socket for sizes on demand", extra={"path": str(self._path)})
        finally:
            self._loop = None
            self._ready.set()

    async def _serve(self) -> None:
        self._end, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        server = await asyncio.start_unix_server(self._answer, sock=self._bind(), limit=MAX_MESSAGE)
        with ThreadPoolExecutor(self._at_once, thread_name_prefix="size") as self._pool:
            self._loop = asyncio.get_running_loop()
            self._ready.set()
            try:
                await self._end.wait()
                self._path.unlink(missing_ok=True)
                self._line.close()
                for _ in range(_ROUNDS_TO_START):
                    await asyncio.sleep(0)
                server.close()
                await self._idle.wait()
            finally:
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)

    def _bind(self) -> socket.socket:
        """Bind a socket that only this user can connect to. Nobody can before it listens."""
        self._path.unlink(missing_ok=True)
        bound = socket.socket(socket.AF_UNIX)
        try:
            with usable_path(self._path) as path:
                bound.bind(path)
                os.chmod(path, 0o600)  # noqa: PTH101 - not the path of the object
        except OSError:
            bound.close()
            raise
        return bound

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection, and close it. A caller that hangs up leaves the line."""
        self._connections += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(_MESSAGE_SECONDS):
                request = await reader.readuntil(b"\n")
            answer = asyncio.create_task(self._ask(request))
            gone = asyncio.create_task(reader.read(1))
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            if not answer.done():
                answer.cancel()
                return
            writer.write(answer.result().model_dump_json(exclude_defaults=True).encode() + b"\n")
            async with asyncio.timeout(_MESSAGE_SECONDS):
                await writer.drain()
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            log.debug("a caller has hung up, or its request was incomplete")
        finally:
            self._connections -= 1
            if not self._connections:
                self._idle.set()
            writer.close()

    async def _ask(self, request: bytes) -> RenderAnswer:
        """Return the answer to a request."""
        try:
            if self._connections > _MAX_CONNECTIONS or self._stopping.is_set():
                raise RendererBusy(RETRY_SECONDS)
            return RenderAnswer.of(await self._render(*RenderRequest.parse(request)))
        except PortError as error:
            return RenderAnswer.of_error(error)
        except ValueError:
            log.warning("a request for a size was malformed")
        except Exception:
            log.exception("rendering a size failed")
        return RenderAnswer.of_error(Unavailable(""))

    async def _render(self, image_id: str, operation: Operation) -> RenderedSize:
        key = (image_id, operation.name)
        refused = self._refused.get(key)
        if refused is not None and time.monotonic() - refused[0] < _REFUSED_SECONDS:
            raise NotRenderable(refused[1].code, refused[1].detail)
        owner = await asyncio.to_thread(self._renderer.find_owner, image_id)
        try:
            return await self._line.ask(owner, key, partial(self._work, image_id, operation))
        except NotRenderable as error:
            self._refused[key] = (time.monotonic(), error)
            self._refused.move_to_end(key)
            if len(self._refused) > _MAX_REFUSED:
                self._refused.popitem(last=False)
            raise

    async def _work(self, image_id: str, operation: Operation) -> RenderedSize:
        until = time.monotonic() + _MEMORY_SECONDS

        def give_up() -> bool:
            return self._stopping.is_set() or time.monotonic() > until

        render = partial(self._renderer.render, image_id, operation, give_up)
        return await asyncio.get_running_loop().run_in_executor(self._pool, render)
