"""Webhooks: verification of what a service sends. It needs nothing but the standard library.

>>> from darkroom.webhooks import InvalidSignature, verify
"""

from darkroom.webhooks.signature import InvalidSignature, verify

__all__ = ["InvalidSignature", "verify"]
