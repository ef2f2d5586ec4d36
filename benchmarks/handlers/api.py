"""Libraries and clients of the API's function: the lower bound of a start with them.

FastAPI has one route with a parameter and a body, because no application does without: it loads modules for the first.
"""

from typing import Annotated, Any

import anyio  # noqa: F401
import mangum
from aws_lambda_powertools.logging import formatter  # noqa: F401
from aws_lambda_powertools.metrics import EphemeralMetrics  # noqa: F401
from botocore.config import Config
from botocore.session import Session
from fastapi import FastAPI, Query, concurrency  # noqa: F401
from pydantic import BaseModel
from starlette import staticfiles  # noqa: F401
from starlette.middleware import cors  # noqa: F401


class Body(BaseModel):
    """Body of the route."""

    size: int


app = FastAPI()


@app.post("/things/{name}")
async def create(name: str, body: Body, count: Annotated[int, Query(ge=0)] = 0) -> str:
    """Return the parameters and the body."""
    return f"{name} {body.size} {count}"


mangum.Mangum(app, lifespan="off")
session = Session()
patience = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})
s3 = session.create_client("s3", config=patience.merge(Config(signature_version="s3v4")))
dynamodb = session.create_client("dynamodb", config=patience)
sqs = session.create_client("sqs", config=patience)


def handler(event: Any, context: Any) -> None:
    """Answer at once."""
