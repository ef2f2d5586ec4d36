"""A bucket with the rules for direct uploads lets the listed site's pages send, and no other's."""

import re

import httpx
import pytest

from app.adapters.s3.cors import cors_rules
from tests import aws

#: What a ticket signs, and what upload widgets and tracing add.
ASKED = {"content-type", "if-none-match", "x-amz-checksum-sha256", "x-requested-with", "cache-control", "traceparent"}
SITE = "https://www.example.org"


@pytest.mark.engines
@pytest.mark.parametrize(("origin", "allowed"), [(SITE, True), ("https://evil.example", False)])
def test_a_preflight_for_a_ticket(origin: str, allowed: bool) -> None:
    made = aws.engines()
    with aws.bucket(made.s3) as bucket:
        made.s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=cors_rules([SITE]))
        answer = httpx.options(
            f"{made.s3.meta.endpoint_url}/{bucket}/originals/some-id",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": ",".join(sorted(ASKED)),
            },
            timeout=60,
        )
    assert answer.is_success == allowed
    assert (answer.headers.get("access-control-allow-origin") == origin) == allowed
    if allowed:
        assert set(re.split(", *", answer.headers["access-control-allow-headers"].lower())) >= ASKED
