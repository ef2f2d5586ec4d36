"""Router that finds routes by the method and the first segment of the path."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

_Key = tuple[str, str, int]
_Index = Mapping[_Key, Sequence[APIRoute]]


class IndexedRouter(APIRouter):
    """Router that tries only routes with the method, the path's first segment and its number of segments.

    It first tries `common` routes, then those that `by_segment` loads for the first segment of the path. `load_all`
    returns these and all others. The first request that needs them calls either, because loading their modules would
    make the start of a function longer.

    Everything else, such as mounts, unknown paths and methods, is left to `APIRouter`. No route has a parameter in its
    first segment or with a `/` in it.
    """

    def __init__(
        self,
        common: Iterable[BaseRoute],
        by_segment: Mapping[str, Callable[[], Iterable[BaseRoute]]],
        load_all: Callable[[], list[BaseRoute]],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        del self.routes  # the empty list of `APIRouter`, in place of the property
        self._common = _build_index(common)
        self._by_segment = by_segment
        self._loaded: dict[str, _Index] = {}
        self._load_all = load_all

    @cached_property
    def routes(self) -> list[BaseRoute]:  # type: ignore[override]  # a plain attribute of `Router`, loaded late here
        """All routes."""
        return self._load_all()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http":
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            for route in self._candidates(_key(scope["method"], path)):
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.update(found)
                    scope["router"] = self
                    await route.handle(scope, receive, send)
                    return
        await super().app(scope, receive, send)

    def _candidates(self, key: _Key) -> Iterator[APIRoute]:
        yield from self._common.get(key, ())
        yield from self._get_part(key[1]).get(key, ())
        yield from self._index.get(key, ())

    def _get_part(self, segment: str) -> _Index:
        """Return the routes of a first segment; load them if this is the first request for one."""
        if segment in self._by_segment and segment not in self._loaded:
            self._loaded[segment] = _build_index(self._by_segment[segment]())
        return self._loaded.get(segment, {})

    @cached_property
    def _index(self) -> _Index:
        return _build_index(self.routes)


def _build_index(routes: Iterable[BaseRoute]) -> _Index:
    index: dict[_Key, list[APIRoute]] = {}
    for route in routes:
        if isinstance(route, APIRoute) and ":path}" not in route.path:
            for method in route.methods or ():
                index.setdefault(_key(method, route.path), []).append(route)
    return index


def _key(method: str, path: str) -> _Key:
    parts = path.split("/", 2)
    return method, parts[1] if len(parts) > 1 else "", path.count("/")
