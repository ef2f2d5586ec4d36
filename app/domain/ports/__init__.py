"""Ports of bytes, records, messages, the renderer of sizes and the CDN, and the contract that every adapter keeps.

A port that one service uses is defined next to it: `IdempotencyKeys`, `Counters`, `GrantSource`, `UrlSource`.

Signatures use keys, bytes, streams and domain objects; no types of HTTP or of an SDK. `tests/contract` checks each
promise below for every adapter. Adapters raise only `PortError`s; any method may raise `Unavailable`. All methods
block, and can be called from several threads and processes at once.
"""

from app.domain.ports.cdn import Cdn
from app.domain.ports.objects import ObjectInfo, ObjectStore
from app.domain.ports.queue import EventQueue, Message
from app.domain.ports.renderer import OnDemandRenderer, RenderedSize
from app.domain.ports.repository import ImageRepository, ListQuery, Page, StoredImage

__all__ = [
    "Cdn",
    "EventQueue",
    "ImageRepository",
    "ListQuery",
    "Message",
    "ObjectInfo",
    "ObjectStore",
    "OnDemandRenderer",
    "Page",
    "RenderedSize",
    "StoredImage",
]
