"""Sizes on demand of the real server: its worker renders them, is killed meanwhile, and goes on."""

import contextlib
import io
import os
import signal
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as Pillow

from app.adapters.render_socket import SocketRenderer
from app.domain.errors import PortError, Unavailable
from app.domain.models import Format
from app.domain.ports import RenderedSize
from app.domain.recipe import Fit
from app.domain.sizes.operation import Operation
from tests.running_server import Server, finished, has_no_files_of_images, serving, wait_for
from tests.samples import encoded
from tests.self_hosted.test_crashes import stop_image_child, upload, worker_of

SMALL = Operation(64, None, Fit.INSIDE, Format.WEBP, 75)
#: Lossless, so that it is made from the original, and large enough to be interrupted.
LARGE = Operation(3000, None, Fit.INSIDE, Format.PNG, 100)

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data", DARKROOM_WORKERS="1") as running:
        yield running


def ready(server: Server, body: bytes) -> str:
    image_id = upload(server, body)
    assert finished(server, image_id)["status"] == "ready"
    return image_id


def socket_of(server: Server) -> Path:
    return server.data / "sizes.sock"


def render(server: Server, image_id: str, operation: Operation, seconds: float = 60) -> RenderedSize:
    return SocketRenderer(socket_of(server), seconds=seconds).render(image_id, operation)


def stored_sizes(server: Server) -> list[str]:
    """Names of the stored sizes. Folders of the worker may vanish meanwhile."""
    walk = os.walk(server.data)
    return [name for folder, _, names in walk if "ondemand" in Path(folder).parts for name in sorted(names)]


def test_the_worker_renders_sizes_and_keeps_its_socket_private(server: Server) -> None:
    image_id = ready(server, encoded("JPEG", 800, 600))
    wait_for(socket_of(server).exists, 60, server.log.read_text)
    assert render(server, image_id, SMALL).key == f"ondemand/{image_id}/w64-q75.webp"
    assert stat.S_IMODE(socket_of(server).stat().st_mode) == 0o600
    assert stored_sizes(server) == ["w64-q75.webp"]
    server.stop()
    assert not socket_of(server).exists()
    with pytest.raises(Unavailable):
        render(server, image_id, SMALL)


def test_a_url_to_paste_shows_the_image_in_the_size_that_it_asks_for(server: Server) -> None:
    image_id = ready(server, encoded("JPEG", 800, 600))
    wait_for(socket_of(server).exists, 60, server.log.read_text)
    first = server.client.get(f"/i/{image_id}/a-name.webp", params={"w": 100, "h": 100})
    assert first.status_code == 200, first.text
    with Pillow.open(io.BytesIO(first.content)) as image:
        assert (image.format, image.size) == ("WEBP", (128, 128))
    again = server.client.get(f"/i/{image_id}", params={"width": 128, "height": 128, "format": "webp"})
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    assert stored_sizes(server) == ["w128-h128-cover-q75.webp"]
    assert server.client.patch(f"/images/{image_id}", json={"focal_point": {"x": 0, "y": 0}}).status_code == 200
    assert stored_sizes(server) == []


def test_a_worker_that_is_killed_meanwhile_leaves_nothing_half_written(server: Server) -> None:
    image_id = ready(server, encoded("PNG", 3000, 2000, seed=1))
    with ThreadPoolExecutor(1) as pool:
        child, width = None, LARGE.width or 0
        while child is None:
            before = stored_sizes(server)
            call = pool.submit(render, server, image_id, replace(LARGE, width=width))
            child = stop_image_child(server, lambda call=call: not call.done())  # type: ignore[misc]
            width -= 1
        worker = worker_of(server)
        os.kill(worker, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)
        with pytest.raises(Unavailable, match="ended"):
            call.result(60)
    assert stored_sizes(server) == before

    def renders_again() -> bool:
        """The socket that the killed worker left is stale until the next one listens."""
        try:
            return bool(render(server, image_id, SMALL).bytes)
        except PortError:
            return False

    wait_for(renders_again, 60, server.log.read_text)
    assert worker_of(server) != worker
    assert stored_sizes(server) == sorted([*before, "w64-q75.webp"])
    wait_for(lambda: has_no_files_of_images(server.data), 60)


def test_an_upload_is_processed_while_sizes_are_asked_for_and_the_other_way_round(server: Server) -> None:
    """One image and one size at a time: none waits for the end of the others."""
    image_id = ready(server, encoded("JPEG", 1600, 1200))
    operations = [Operation(width, None, Fit.INSIDE, Format.WEBP, 90) for width in range(900, 915)]
    uploads = [encoded("JPEG", 1200, 900, seed=seed) for seed in range(4)]
    with ThreadPoolExecutor(len(operations)) as pool:
        calls = [pool.submit(render, server, image_id, operation) for operation in operations]
        ids = [upload(server, body) for body in uploads]
        records = [finished(server, each) for each in ids]
        assert {call.result(60).media_type for call in calls} == {"image/webp"}
    assert [record["status"] for record in records] == ["ready"] * 4
