"""Events that failed in every attempt are sent again when the operator says so."""

import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.domain.ids import new_id
from app.domain.images.failing import EXHAUSTED, mark_failed
from app.domain.images.notifications import object_created
from app.domain.keys import original_key
from app.domain.models import ANONYMOUS, FailureCode, Image, utcnow
from darkroom.cli.command import cli
from tests.running_server import serving, wait_for
from tests.samples import encoded
from tests.sides import Side, self_hosted


def exhausted(side: Side) -> Image:
    """A good image that has failed in every attempt, both of its events with the dead letters."""
    body = encoded("JPEG", 320, 240, seed=8)
    now = utcnow()
    image = Image(
        id=new_id(), owner=ANONYMOUS, content_type="image/jpeg", bytes=len(body), uploaded_at=now, updated_at=now
    )
    side.images.create(image, claim=False)
    side.store.create(original_key(image.id), io.BytesIO(body), size=len(body), content_type="image/jpeg")
    side.queue.send(object_created(original_key(image.id), len(body)))  # as reconcile sends it again
    while messages := side.queue.receive():
        side.queue.release(messages[0].receipt)
    side.images.update(image.id, image.version, mark_failed(image, FailureCode.ATTEMPTS_EXHAUSTED, EXHAUSTED, now))
    return image


@pytest.mark.slow
def test_dead_letters_are_sent_again_and_their_images_become_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    with self_hosted(data) as side:
        image = exhausted(side)
        assert side.queue.dead_letters() == 2
    monkeypatch.setenv("DARKROOM_STORAGE_URL", f"file:{data}")
    monkeypatch.setenv("DARKROOM_DATABASE_URL", f"sqlite:{data}/darkroom.db")
    for count in (1, 0):
        done = CliRunner().invoke(cli, ["redrive"])
        assert (done.exit_code, done.stdout) == (0, f"images sent again: {count}\n")
    with self_hosted(data) as side:
        assert side.queue.waiting() == 1
    with serving(data) as server:
        wait_for(lambda: server.client.get(f"/images/{image.id}").json()["status"] == "ready", 60, server.log.read_text)
