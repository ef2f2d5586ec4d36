"""Libraries and clients of the API's function: the lower bound of a start with them."""

from typing import Any

import anyio  # noqa: F401
import boto3
import fastapi  # noqa: F401
import mangum  # noqa: F401
import python_multipart.multipart  # noqa: F401
from aws_lambda_powertools.logging import formatter  # noqa: F401
from aws_lambda_powertools.metrics import EphemeralMetrics  # noqa: F401
from boto3.dynamodb import types  # noqa: F401
from botocore.config import Config
from fastapi import concurrency, routing  # noqa: F401
from starlette import staticfiles  # noqa: F401
from starlette.middleware import cors  # noqa: F401

session = boto3.session.Session()
patience = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})
s3 = session.client("s3", config=patience.merge(Config(signature_version="s3v4")))
dynamodb = session.client("dynamodb", config=patience)
sqs = session.client("sqs", config=patience)


def handler(event: Any, context: Any) -> None:
    """Answer at once."""
