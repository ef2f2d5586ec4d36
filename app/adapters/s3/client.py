"""The SDK's client for S3, made so that what it presigns works."""

from typing import Any

from botocore.config import Config

# Left to itself the SDK presigns for an endpoint of one's own in an old form, which some stores do not check.
_SIGNED = Config(signature_version="s3v4")
# And for AWS it names the global address, which redirects what is asked of a new bucket to its region: a browser's
# preflight does not follow, and a redirect is no longer the url that was signed.
_REGIONAL = Config(s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"})


def s3_client(session: Any, config: Config) -> Any:
    """A client of a boto3 session, with its endpoint as the environment says."""
    config = config.merge(_SIGNED)
    client = session.client("s3", config=config.merge(_REGIONAL))
    if ".amazonaws.com" in client.meta.endpoint_url:
        return client
    return session.client("s3", config=config)  # elsewhere a bucket seldom has a name in the DNS
