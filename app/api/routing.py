"""Router that finds routes by the first segment of the path."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Receive, Scope, Send


class IndexedRouter(APIRouter):
    """Router that tries only routes with the path's first segment and number of segments.

    Everything else, such as mounts, unknown paths and methods, is left to `APIRouter`. Routes must not be added after
    the first request, and none has a parameter in its first segment or with a `/` in it.
    """

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http":
            for route in self._index.get(_key(scope["path"].removeprefix(scope.get("root_path", ""))), ()):
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.update(found)
                    scope["router"] = self
                    await route.handle(scope, receive, send)
                    return
        await super().app(scope, receive, send)

    @cached_property
    def _index(self) -> Mapping[tuple[str, int], Sequence[APIRoute]]:
        index: dict[tuple[str, int], list[APIRoute]] = {}
        for route in self.routes:
            if isinstance(route, APIRoute) and ":path}" not in route.path:
                index.setdefault(_key(route.path), []).append(route)
        return index


def _key(path: str) -> tuple[str, int]:
    parts = path.split("/", 2)
    return parts[1] if len(parts) > 1 else "", path.count("/")
