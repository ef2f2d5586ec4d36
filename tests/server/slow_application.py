"""Program that runs an application in the server on an inherited socket. It reads no body before `/go` was asked for.

It answers with the SHA-256 of the body, and with the number of requests that wait for `/waiting`.
"""

import asyncio
import hashlib
import socket
import sys

from starlette.types import Receive, Scope, Send

from app.server.run import serve

_go = asyncio.Event()
_waiting: set[int] = set()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request."""
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            await send({"type": f"{event}.complete"})
            if event == "lifespan.shutdown":
                return
    answer = str(len(_waiting)).encode()
    if scope["path"] == "/go":
        _go.set()
    elif scope["path"] == "/upload":
        _waiting.add(id(scope))
        await _go.wait()
        answer = await _digest(receive)
    headers = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def _digest(receive: Receive) -> bytes:
    digest, is_left = hashlib.sha256(), True
    while is_left:
        message = await receive()
        digest.update(message["body"])
        is_left = message["more_body"]
        await asyncio.sleep(0)
    return digest.hexdigest().encode()


if __name__ == "__main__":
    serve(application, socket.socket(fileno=int(sys.argv[1])))
