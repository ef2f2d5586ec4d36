"""ASGI requests whose bodies a test sends piece by piece."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.types import Message


@dataclass
class Exchange:
    """One request in progress. `send` returns when the application asks for more, or has answered."""

    app: FastAPI
    method: str
    url: str
    headers: Mapping[str, str]
    messages: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pieces: asyncio.Queue[Message] = asyncio.Queue()
        self._asked = asyncio.Event()
        path, _, query = self.url.partition("?")
        lines = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        scope = {
            "type": "http", "method": self.method, "path": path, "raw_path": path.encode(), "headers": lines,
            "query_string": query.encode(), "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        self.task = asyncio.create_task(self._run(scope))

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self.app(scope, self._receive, self._answered)
        finally:
            self._asked.set()

    async def _receive(self) -> Message:
        if self._pieces.empty():
            self._asked.set()
        return await self._pieces.get()

    async def _answered(self, message: Message) -> None:
        self.messages.append(message)

    async def send(self, piece: bytes, *, more: bool = True) -> None:
        """Send a piece, and wait until it has been read."""
        await self._asked.wait()
        self._asked.clear()
        self._pieces.put_nowait({"type": "http.request", "body": piece, "more_body": more})
        await self._asked.wait()

    def disconnect(self) -> None:
        """Close the connection."""
        self._pieces.put_nowait({"type": "http.disconnect"})

    async def answer(self) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Return status, JSON document and headers of the response."""
        await asyncio.wait_for(asyncio.shield(self.task), 60)
        (start,) = (message for message in self.messages if message["type"] == "http.response.start")
        body = b"".join(message.get("body", b"") for message in self.messages)
        return start["status"], json.loads(body), {name.decode(): value.decode() for name, value in start["headers"]}
