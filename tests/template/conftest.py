"""The template in both its forms: as it is written, and as the SAM translator hands it to CloudFormation."""

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tests.engines import INSTALLED
from tests.template.reading import Stack, source
from tests.template.transform import transform

#: A parameter set of a careful operator.
KEYS = f"ann:upload+read:{hashlib.sha256(b'1').hexdigest()},ops:admin:{hashlib.sha256(b'2').hexdigest()}"
ALL = {
    "ApiKeys": KEYS,
    "AllowedOrigins": "https://www.example.org,https://shop.example.org",
    "DomainName": "img.example.org",
    "CertificateId": "0f2a4c6e",
    "Cdn": "true",
    "OnDemand": "snap",
    "OnDemandWidths": "320,640,1280",
    "OnDemandRatios": "1:1,16:9",
    "OnDemandJxl": "true",
    "RenderConcurrency": "5",
    "Webhooks": "true",
    "OriginalsTier": "GLACIER_IR",
    "AlarmEmail": "ops@example.org",
    "Tracing": "Active",
}
SAM = INSTALLED / "sam" / "bin"
CHECKOV = INSTALLED / "checkov" / "bin" / "checkov"


@cache
def transformed() -> dict[str, Any]:
    """Template that `sam deploy` sends, without images."""
    if not SAM.exists():
        pytest.skip("AWS SAM CLI is not installed here: `make test-template` installs it")
    return transform(SAM / "python", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/darkroom:{}")


@pytest.fixture(params=["written", pytest.param("transformed", marks=pytest.mark.template)])
def form(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The template."""
    return source() if request.param == "written" else transformed()


@pytest.fixture
def build_stack(form: dict[str, Any]) -> Callable[..., Stack]:
    """Makes a stack of the template: with keys unless other parameters are given."""

    def made(name: str = "darkroom", **parameters: str) -> Stack:
        return Stack(form, name, **({"ApiKeys": KEYS} | parameters))

    return made


@pytest.fixture
def stack(build_stack: Callable[..., Stack]) -> Stack:
    """With keys, and else the defaults."""
    return build_stack()


@pytest.fixture(params=["defaults", "everything"])
def any_stack(request: pytest.FixtureRequest, build_stack: Callable[..., Stack]) -> Stack:
    """With the defaults, and with every option in use."""
    return build_stack() if request.param == "defaults" else build_stack(**ALL)
