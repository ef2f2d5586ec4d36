"""Ticket back end for `<darkroom-upload>` with FastAPI. Needs fastapi, httpx and uvicorn.

DARKROOM_URL=http://127.0.0.1:8000 DARKROOM_API_KEY=… uvicorn main:app --port 3000

The key has the scope `admin`, so that the back end can name the owner of each image. It stays in the back end.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel

LARGEST_BYTES = 10_000_000
PAGE = Path(__file__).parents[1] / "page.html"

darkroom_url = os.environ["DARKROOM_URL"]
darkroom = httpx.AsyncClient(base_url=darkroom_url, headers={"X-API-Key": os.environ["DARKROOM_API_KEY"]}, timeout=30)
app = FastAPI()


def get_user(request: Request) -> str:
    """Return the user's id. Replace this with your sign-in.

    Here it is the header that a sign-in proxy sets, such as oauth2-proxy.
    """
    return request.headers.get("X-Forwarded-User", "guest")


User = Annotated[str, Depends(get_user)]


class TicketRequest(BaseModel):
    """Fields that users may set. Others are ignored."""

    filename: str
    content_type: str
    bytes: int
    sha256: str | None = None
    alt: str | None = None


async def call(method: str, path: str, **options: Any) -> httpx.Response:
    """Call Darkroom. The page tries again after 502."""
    try:
        return await darkroom.request(method, path, **options)
    except httpx.TransportError:
        raise HTTPException(502, "The image service does not answer.") from None


def relay(answer: httpx.Response) -> Response:
    """Return Darkroom's answer to the page, also a refusal: its detail is shown to the user."""
    return Response(answer.content, answer.status_code, media_type=answer.headers["Content-Type"])


@app.post("/api/tickets")
async def create_ticket(wanted: TicketRequest, user: User) -> Response:
    """Request an upload ticket, or the record of bytes that the user has uploaded before."""
    if wanted.bytes > LARGEST_BYTES:
        raise HTTPException(413, f"The image has {wanted.bytes:,} bytes; the limit is {LARGEST_BYTES:,}.")
    fields = wanted.model_dump(exclude_none=True)
    return relay(await call("POST", "/upload/direct", json={**fields, "owner": user}))


@app.get("/api/images/{image_id}")
async def read_image(image_id: str, user: User) -> Response:
    """Return the record of an image of the user, when it is ready or after 20 seconds."""
    answer = await call("GET", f"/images/{image_id}", params={"wait": 20})
    if answer.is_success and answer.json()["owner"] != user:
        raise HTTPException(404, "There is no such image.")
    return relay(answer)


@app.get("/")
def page() -> HTMLResponse:
    """Return a page with the element."""
    return HTMLResponse(PAGE.read_text().replace("DARKROOM_URL", darkroom_url))
