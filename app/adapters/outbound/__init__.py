"""Guarded HTTP client on the standard library."""

from app.adapters.outbound.client import GuardedHttp

__all__ = ["GuardedHttp"]
