"""In-process clients of the self-hosted service and of the Lambda function. They follow no redirects."""

import warnings

import httpx
from fastapi import FastAPI

from app.api.middleware.gateway import Gateway
from tests.on_aws.gateway import Functions, build_handler

_ADDRESS = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"

with warnings.catch_warnings():
    # Starlette prefers another client library to httpx.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient


def self_hosted_client(app: FastAPI, prefix: str = "", peer: str = "testclient") -> httpx.Client:
    """Return a client of the application as a server runs it, with a path prefix (`--root-path`).

    `peer` is the address that the connection comes from.
    """
    address = (peer, 50000)
    return TestClient(app, base_url="http://testserver", root_path=prefix, client=address, follow_redirects=False)


def lambda_client(gateway: Gateway, prefix: str = "") -> httpx.Client:
    """Return a client of the application in a function behind an HTTP API, in a stage named like the prefix."""
    transport = Functions(build_handler(gateway), prefix.strip("/") or "$default")
    return httpx.Client(transport=transport, base_url=_ADDRESS, follow_redirects=False)
