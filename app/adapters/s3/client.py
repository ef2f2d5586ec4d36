"""The SDK's client for S3, configured so that its presigned urls work."""

from typing import Any

from botocore.config import Config

# By default the SDK presigns for custom endpoints with signature version 2, which some stores do not check.
_SIGNED = Config(signature_version="s3v4")
# For AWS it uses the global endpoint by default, which redirects requests for a new bucket to its region. Browsers do
# not follow redirects of preflight requests, and the signature does not match the redirected url.
_REGIONAL = Config(s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"})


def s3_client(session: Any, config: Config) -> Any:
    """Create a client of a botocore session, with the endpoint from the environment."""
    config = config.merge(_SIGNED)
    client = session.create_client("s3", config=config.merge(_REGIONAL))
    if ".amazonaws.com" in client.meta.endpoint_url:
        return client
    return session.create_client("s3", config=config)  # other stores seldom have a DNS name per bucket
