"""Objects in S3 and in stores with the same protocol."""

from app.adapters.s3.client import s3_client
from app.adapters.s3.store import S3Store

__all__ = ["S3Store", "s3_client"]
