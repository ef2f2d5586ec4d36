"""A renderer of sizes on real adapters."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.domain.images.renderings import Renderings
from app.domain.limits import Limits
from app.domain.models import Changes, Image, Visibility
from app.domain.recipe import Recipe, VariantSpec
from app.worker.on_demand.renderer import SizeRenderer
from app.worker.sandbox.child import render_variants
from app.worker.sandbox.parent import Sandbox
from tests.worker.conftest import Bench

RECIPE = Recipe(
    variants=(VariantSpec(name="crop", width=150, height=150, fit="cover"), VariantSpec(name="w200", width=200))
)


@pytest.fixture(scope="session")
def size_sandbox() -> Iterator[Sandbox]:
    made = Sandbox(60, 1024, work=render_variants)
    made.start()
    yield made
    made.close()


@dataclass
class Sizes:
    """A renderer, and the backends that it uses."""

    bench: Bench
    sandbox: Sandbox

    def renderer(self, **options: Any) -> SizeRenderer:
        side = self.bench.side
        given: dict[str, Any] = {"recipe": RECIPE, "limits": Limits(), "scratch": self.bench.scratch}
        store, sandbox = options.pop("store", side.store), options.pop("sandbox", self.sandbox)
        return SizeRenderer(store, side.images, Renderings(store, side.images), sandbox, **given | options)

    def ready(self, body: bytes, **changes: Any) -> str:
        """Upload and process an image, public unless `changes` say otherwise. Return its id."""
        image_id = self.bench.upload(body)
        self.change(image_id, {"visibility": Visibility.PUBLIC} | changes)
        self.bench.worker(recipe=RECIPE).handle(image_id)
        return image_id

    def change(self, image_id: str, changes: Changes) -> Image:
        image = self.bench.image(image_id)
        return self.bench.side.images.update(image_id, image.version, changes)

    def read(self, key: str) -> bytes:
        with self.bench.side.store.open(key) as body:
            return body.read()


@pytest.fixture
def sizes(bench: Bench, size_sandbox: Sandbox) -> Sizes:
    return Sizes(bench, size_sandbox)


class Watched:
    """A sandbox that notes the jobs and their sources. `bounds` are its memory bounds, None for the whole one."""

    def __init__(self, inner: Sandbox) -> None:
        self.memory_mb = inner.memory_mb
        self.sources: list[bytes] = []
        self.bounds: list[int | None] = []
        self._inner = inner

    def process(self, source: Path, out: Path, job: Any, *, memory_mb: int | None = None) -> Any:
        self.sources.append(source.read_bytes())
        self.bounds.append(memory_mb)
        return self._inner.process(source, out, job, memory_mb=memory_mb)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
