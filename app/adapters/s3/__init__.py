"""Objects in S3 and in stores with the same protocol."""

from app.adapters.s3.client import s3_client
from app.adapters.s3.grants import PresignedGrants
from app.adapters.s3.presign import Presigner
from app.adapters.s3.store import S3Store
from app.adapters.s3.urls import PresignedUrls

__all__ = ["PresignedGrants", "PresignedUrls", "Presigner", "S3Store", "s3_client"]
