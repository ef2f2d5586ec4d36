"""Markup that was pasted into a page shows the image for as long as it exists and is public."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.images.renderings import Renderings
from app.domain.limits import Limits
from app.domain.maintenance.reconcile import Reconciler
from app.domain.models import Format, utcnow
from app.domain.recipe import Fit, Recipe, VariantSpec
from app.worker.events import handle_event
from app.worker.process import Worker
from app.worker.sandbox.parent import Sandbox
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.service import CDN, Service, service_on, use_cdn
from tests.faults.scene import queue_event
from tests.samples import encoded
from tests.sides import side_parameters

FIRST = Recipe(
    variants=(
        VariantSpec(name="w40", width=40, formats=(Format.WEBP, Format.AVIF)),
        VariantSpec(name="w80", width=80, formats=(Format.WEBP, Format.JPEG)),
    )
)
#: Shares one name with the first recipe, and lacks one of its formats.
NEXT = Recipe(
    variants=(
        VariantSpec(name="w80", width=60, formats=(Format.WEBP,)),
        VariantSpec(name="square", width=30, height=30, fit=Fit.COVER, formats=(Format.JPEG,)),
    )
)
DAYS = timedelta(days=2, hours=1)


@pytest.fixture(autouse=True, scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Sandbox that starts before a service moves temporary files: the path of its socket must be short."""
    made = Sandbox(60, 1024)
    made.start()
    yield made
    made.close()


def patch(service: Service, image_id: str, **changes: object) -> None:
    """Change fields of the record."""
    answer = service.client.patch(f"/images/{image_id}", json=changes)
    assert answer.status_code == 200, answer.text


def render(service: Service, recipe: Recipe, renderings: Renderings) -> None:
    """Process every event with a worker that has this recipe."""
    side = service.side
    worker = Worker(
        side.store, side.images, renderings, Sandbox(60, 1024), recipe=recipe, limits=Limits(), adopt=False,
        scratch=service.scratch, max_attempts=3,
    )  # fmt: skip
    while messages := side.queue.receive(10):
        for message in messages:
            assert handle_event(queue_event(message), worker) == {"batchItemFailures": []}
            side.queue.delete(message.receipt)


def publish(service: Service, renderings: Renderings) -> str:
    """Upload a public image, have it rendered, and return its id."""
    files = {"file": ("photo.jpg", encoded("JPEG", 160, 120))}
    answer = service.client.post("/upload", files=files, data={"visibility": "public"})
    assert answer.status_code == 201, answer.text
    render(service, FIRST, renderings)
    image_id: str = answer.json()["id"]
    return image_id


def change(service: Service, image_id: str, renderings: Renderings) -> None:
    """Render the image with another recipe, then with another focal point, and sweep two days later."""
    side = service.side
    assert service.client.post(f"/images/{image_id}/reprocess").status_code == 202
    render(service, NEXT, renderings)
    patch(service, image_id, focal_point={"x": 0.1, "y": 0.9})
    render(service, NEXT, renderings)
    report = Reconciler(side.store, side.images, side.queue, renderings).run(now=utcnow() + DAYS)
    assert report.errors == 0


def urls_in(markup: str) -> list[str]:
    """Return every url of a `<picture>`."""
    sources = [part.split()[0] for srcset in re.findall('srcset="([^"]*)"', markup) for part in srcset.split(", ")]
    return [html.unescape(url) for url in (*sources, *re.findall(' src="([^"]*)"', markup))]


def test_the_markup_of_a_public_image_shows_it_after_two_new_renderings(service: Service) -> None:
    renderings = service.side.renderings
    image_id = publish(service, renderings)
    before = service.client.get(f"/images/{image_id}").json()
    urls = urls_in(before["embed"]["html"])
    assert len(urls) == 4
    change(service, image_id, renderings)
    after = service.client.get(f"/images/{image_id}").json()
    assert after["rendering_id"] != before["rendering_id"]
    assert before["rendering_id"] not in "".join(service.side.objects()), "the old files are gone"
    for url in urls:
        shown = service.show(url)
        assert (shown.status_code, shown.headers["content-type"].partition("/")[0]) == (200, "image"), url

    patch(service, image_id, visibility="private")
    for url in urls:
        answer = service.client.get(url)
        assert "public" not in answer.headers["cache-control"]
        if service.self_hosted:
            assert_problem(answer, 404, "file_not_found")


@pytest.mark.parametrize("side_name", side_parameters()[1:])
def test_behind_a_cdn_the_files_that_the_markup_names_stay(side_name: str, tmp_path: Path) -> None:
    with service_on(side_name, tmp_path) as service:
        use_cdn(service)
        renderings = Renderings(service.side.store, service.side.images, public_life=timedelta(days=365))
        image_id = publish(service, renderings)
        markup = service.client.get(f"/images/{image_id}").json()["embed"]["html"]
        change(service, image_id, renderings)
        assert service.client.get(f"/images/{image_id}").json()["embed"]["html"] != markup
        keys = [url.removeprefix(f"{CDN}/") for url in urls_in(markup)]
        assert len(keys) == 4
        assert set(keys) <= {key for key in service.side.objects() if key.startswith("processed/public/")}
