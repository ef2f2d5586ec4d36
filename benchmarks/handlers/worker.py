"""Libraries and clients of the worker's function: the lower bound of a start with them.

Of the standard library it has what the sandbox of the worker is made of.
"""

import ctypes  # noqa: F401
import multiprocessing.forkserver  # noqa: F401
import resource  # noqa: F401
from typing import Any

from aws_lambda_powertools.logging import formatter  # noqa: F401
from aws_lambda_powertools.metrics import EphemeralMetrics  # noqa: F401
from botocore.config import Config
from botocore.session import Session
from pydantic import BaseModel, Field


class Model(BaseModel):
    """First model, for which pydantic loads most of its modules."""

    size: int = Field(ge=0)


session = Session()
patience = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})
s3 = session.create_client("s3", config=patience.merge(Config(signature_version="s3v4")))
dynamodb = session.create_client("dynamodb", config=patience)
sqs = session.create_client("sqs", config=patience)


def handler(event: Any, context: Any) -> None:
    """Answer at once."""
