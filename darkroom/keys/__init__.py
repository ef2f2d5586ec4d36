"""API keys in the store of a service."""

from darkroom.keys.records import Key

__all__ = ["Key"]
