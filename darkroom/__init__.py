"""Client and command line of Darkroom, the image upload and processing service.

>>> from darkroom import Client
>>> with Client("http://127.0.0.1:8000") as client:
...     print(client.upload("photo.jpg", wait=60).status)
ready
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.client import Client
    from darkroom.errors import (
        ClientClosed,
        Conflict,
        DarkroomError,
        FileError,
        InvalidArgument,
        NotAllowed,
        NotDarkroom,
        NotFound,
        Refused,
        ServerError,
        Unreachable,
    )
    from darkroom.keys.records import Key
    from darkroom.records import FocalPoint, FormatStats, Image, Limits, ShareLink, SimilarImages, Stats, Variant
    from darkroom.uploads import UploadResult
    from darkroom.webhooks.records import Delivery, Redelivered, Webhook

__version__ = "0.1.0"

__all__ = [
    "Client",
    "ClientClosed",
    "Conflict",
    "DarkroomError",
    "Delivery",
    "FileError",
    "FocalPoint",
    "FormatStats",
    "Image",
    "InvalidArgument",
    "Key",
    "Limits",
    "NotAllowed",
    "NotDarkroom",
    "NotFound",
    "Redelivered",
    "Refused",
    "ServerError",
    "ShareLink",
    "SimilarImages",
    "Stats",
    "Unreachable",
    "UploadResult",
    "Variant",
    "Webhook",
]

_MODULES = ("errors", "records", "uploads", "webhooks.records", "keys.records", "client")


def __getattr__(name: str) -> Any:
    """Import a name at its first use, so that the command starts without the HTTP library."""
    if name in __all__:
        for module in _MODULES:
            found = vars(import_module(f"darkroom.{module}")).get(name)
            if found is not None:
                return found
    raise AttributeError(f"module 'darkroom' has no attribute {name!r}")
