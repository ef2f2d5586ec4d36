"""Clients in this process, one for each way in. They follow no redirects."""

import warnings

import httpx
from fastapi import FastAPI

from app.api.middleware.gateway import Gateway
from tests.on_aws.gateway import Functions, door

_ADDRESS = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"

with warnings.catch_warnings():
    # Starlette wants another client library; the one we have is the one its own users know.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient


def embedded_client(app: FastAPI, prefix: str = "", peer: str = "testclient") -> httpx.Client:
    """A client of the application as a server runs it, which knows a prefix before its paths (`--root-path`).

    `peer` is the address that the connection comes from.
    """
    address = (peer, 50000)
    return TestClient(app, base_url="http://testserver", root_path=prefix, client=address, follow_redirects=False)


def lambda_client(gateway: Gateway, prefix: str = "") -> httpx.Client:
    """A client of the same application in a function behind an HTTP API, in a stage of the prefix's name."""
    transport = Functions(door(gateway), prefix.strip("/") or "$default")
    return httpx.Client(transport=transport, base_url=_ADDRESS, follow_redirects=False)
