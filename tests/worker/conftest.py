"""One fork server for all tests of the worker, and workers on real adapters."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.domain.ids import new_id
from app.domain.images.renderings import Renderings
from app.domain.keys import original_key
from app.domain.limits import Limits
from app.domain.media import media_type_of
from app.domain.models import Image
from app.domain.ports import ImageRepository, ObjectStore
from app.domain.recipe import DEFAULT_RECIPE, Recipe, VariantSpec
from app.domain.uploads.requests import Upload
from app.domain.uploads.service import Uploads
from app.worker.jobs import Job, Processed
from app.worker.process import Worker
from app.worker.sandbox.parent import Sandbox
from tests.sides import SIDES, Side, side_parameters

#: Two small variants: enough for the rules, quick to make.
SMALL = Recipe(variants=(VariantSpec(name="w32", width=32), VariantSpec(name="w16", width=16)))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(60, 1024)
    made.start()
    yield made
    made.close()


@pytest.fixture(params=side_parameters())
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    folder = tmp_path / "data"
    folder.mkdir()
    with SIDES[request.param](folder) as made:
        yield made


@dataclass
class Bench:
    """A worker with its backends, and ways to store images for it."""

    side: Side
    scratch: Path
    sandbox: Sandbox

    def worker(
        self,
        *,
        store: ObjectStore | None = None,
        images: ImageRepository | None = None,
        sandbox: Sandbox | None = None,
        recipe: Recipe = SMALL,
        limits: Limits | None = None,
        adopt: bool = False,
        share_originals: bool = False,
    ) -> Worker:
        return Worker(
            store or self.side.store,
            images or self.side.images,
            Renderings(store or self.side.store, images or self.side.images),
            sandbox or self.sandbox,
            recipe=recipe,
            limits=limits or Limits(),
            adopt=adopt,
            scratch=self.scratch,
            max_attempts=3,
            share_originals=share_originals,
        )

    def upload(self, body: bytes, owner: str = "ann") -> str:
        import hashlib

        kind = media_type_of(body[:64]) or "image/png"
        digest = hashlib.sha256(body).hexdigest()
        upload = Upload(io.BytesIO(body), len(body), digest, kind)
        return Uploads(self.side.store, self.side.images).accept(owner, upload).image.id

    def place(self, body: bytes) -> str:
        """Store an object without a record; return its id."""
        image_id = new_id()
        self.side.store.create(original_key(image_id), io.BytesIO(body), size=len(body), content_type="image/jpeg")
        return image_id

    def image(self, image_id: str) -> Image:
        found = self.side.images.get(image_id)
        assert isinstance(found, Image)
        return found

    def variants(self, image_id: str) -> set[str]:
        return {key for key in self.side.objects() if key.startswith(f"processed/{image_id}/")}


@pytest.fixture
def bench(side: Side, sandbox: Sandbox, tmp_path: Path) -> Bench:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Bench(side, scratch, sandbox)


Process = Callable[..., tuple[Processed, Path]]


@pytest.fixture
def process(tmp_path: Path) -> Process:
    """Process bytes in this process; returns the result and the folder of its files."""

    from app.worker.pipeline.steps import process_image as work

    def run(body: bytes, recipe: Recipe = DEFAULT_RECIPE, **options: Any) -> tuple[Processed, Path]:
        out = tmp_path / f"out-{new_id()}"
        out.mkdir()
        source = out.with_name(out.name + ".original")
        source.write_bytes(body)
        given = {"max_pixels": 100_000_000, "max_frames": 60, "media_type": media_type_of(body[:64])} | options
        return work(source, out, Job(recipe=recipe, **given)), out

    return run


def recipe_of(*specs: VariantSpec) -> Recipe:
    return Recipe(variants=specs)
