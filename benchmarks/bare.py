"""Bare routes of Starlette and FastAPI that send stored bytes, on uvicorn with h11, for `benchmarks.http`.

    python -m benchmarks.bare starlette|fastapi <port> <folder>

The bytes are in the files `health`, `record` and `page` of the folder.
"""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp


def bare_starlette(health: bytes, record: bytes, page: bytes) -> ASGIApp:
    """Return an application whose routes do nothing but send bytes."""

    async def healthz(_: Request) -> Response:
        return Response(health, media_type="application/json")

    async def get_image(_: Request) -> Response:
        return Response(record, media_type="application/json")

    async def list_images(_: Request) -> Response:
        return Response(page, media_type="application/json")

    return Starlette(
        routes=[Route("/healthz", healthz), Route("/images", list_images), Route("/images/{image_id}", get_image)]
    )


def bare_fastapi(health: bytes, record: bytes, page: bytes) -> ASGIApp:
    """Return the same on FastAPI, with the parameters that Darkroom's routes cannot do without."""
    app = FastAPI(openapi_url=None)

    @app.get("/healthz")
    async def healthz() -> Response:
        return Response(health, media_type="application/json")

    @app.get("/images")
    async def list_images(limit: int) -> Response:  # noqa: ARG001 - parsed, as an application does
        return Response(page, media_type="application/json")

    @app.get("/images/{image_id}")
    async def get_image(image_id: str) -> Response:  # noqa: ARG001 - as above
        return Response(record, media_type="application/json")

    return app


def main() -> None:
    """Serve until a signal."""
    kind, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    build = {"starlette": bare_starlette, "fastapi": bare_fastapi}[kind]
    app = build(*((folder / name).read_bytes() for name in ("health", "record", "page")))
    uvicorn.run(app, port=port, http="h11", loop="uvloop", access_log=False, log_level="warning", lifespan="off")


if __name__ == "__main__":
    main()
