"""Darkroom's API without a worker, and a bare Starlette route that stores a form's file.

python -m benchmarks.uploads.servers darkroom|starlette <port> <folder>
"""

import gc
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import uvicorn
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app import logs
from app.bootstrap_api import build_api
from app.server.run import listen, serve
from app.settings import Settings, load


def starlette(folder: Path) -> Starlette:
    """Build an application that parses the form as it arrives, hashes and writes the file, and syncs it once."""
    count = iter(range(10**9))

    async def upload(request: Request) -> JSONResponse:
        digest = hashlib.sha256()
        path = folder / f"{next(count)}.jpg"
        with path.open("wb", buffering=0) as file:

            def on_part_data(data: bytes, start: int, end: int) -> None:
                piece = data[start:end]
                digest.update(piece)
                file.write(piece)

            boundary = parse_options_header(request.headers["content-type"])[1][b"boundary"]
            parser = MultipartParser(boundary, {"on_part_data": on_part_data})
            async for chunk in request.stream():
                parser.write(chunk)
            await run_in_threadpool(os.fsync, file.fileno())
        return JSONResponse({"file": path.name, "sha256": digest.hexdigest()}, 201)

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/upload", upload, methods=["POST"]), Route("/healthz", healthz)])


def darkroom(folder: Path) -> Any:
    """Build the application on a data folder."""
    os.environ["DARKROOM_STORAGE_URL"] = f"file:{folder}"
    os.environ["DARKROOM_DATABASE_URL"] = f"sqlite:{folder}/darkroom.db"
    settings: Settings = load()
    logs.configure(settings.log_level, settings.service, (), "json")
    return build_api(settings, same_site_only=settings.auth == "none")


def main(kind: str, port: int, folder: Path) -> None:
    """Serve one of the two until a signal."""
    folder.mkdir(exist_ok=True)
    if kind == "darkroom":
        app = darkroom(folder)
        gc.freeze()  # as `app.main` does
        serve(app, listen("127.0.0.1", port))
    else:
        uvicorn.run(starlette(folder), port=port, http="h11", access_log=False, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
