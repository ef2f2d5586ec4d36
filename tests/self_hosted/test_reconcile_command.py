"""`darkroom reconcile` on a data folder: what it lists, what it asks, and what it leaves alone."""

import io
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.domain.ids import first_id_at, new_id
from app.domain.keys import original_key, variant_key
from app.domain.models import ANONYMOUS, Image, Status, utcnow
from darkroom.cli.command import cli
from tests.contract.records import an_image
from tests.running_server import serving, wait_for
from tests.samples import encoded
from tests.sides import Side, self_hosted

BODY = encoded("JPEG", 320, 240, seed=9)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that the settings name."""
    folder = tmp_path / "data"
    monkeypatch.setenv("DARKROOM_STORAGE_URL", f"file:{folder}")
    monkeypatch.setenv("DARKROOM_DATABASE_URL", f"sqlite:{folder}/darkroom.db")
    with self_hosted(folder):
        return folder


def put(side: Side, key: str, body: bytes = BODY) -> str:
    side.store.put(key, io.BytesIO(body), size=len(body), content_type="image/jpeg")
    return key


def reconcile(*options: str, answer: str | None = None) -> Result:
    """Run the command, with an answer to its question if there is one."""
    return CliRunner().invoke(cli, ["reconcile", *options], input=answer)


def report_of(result: Result) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])  # after what the runner echoes of an answer
    return report


def age(data: Path, hours: float = 2) -> None:
    """Set the time of every file `hours` back."""
    moment = (utcnow() - timedelta(hours=hours)).timestamp()
    for path in data.rglob("*"):
        os.utime(path, (moment, moment))


def test_images_uploaded_while_the_clock_was_ahead_keep_their_files(data: Path) -> None:
    """The clock was a year ahead, was corrected, and the folder was copied with `cp -r`."""
    with self_hosted(data) as side:
        then = utcnow() + timedelta(days=365)
        image = an_image(
            id=first_id_at(then)[:24] + new_id()[24:], owner=ANONYMOUS, status=Status.READY, rendering_id="r",
            uploaded_at=then, updated_at=then,
        )  # fmt: skip
        side.images.create(image, claim=True)
        kept = {put(side, original_key(image.id)), put(side, variant_key(image.id, "r", "a.webp"))}
        age(data, hours=1000)
        done = reconcile("--remove-orphans", "--yes", "--grace-minutes", "0", "--json")
        assert (done.exit_code, report_of(done)["orphans"]) == (0, 0)
        assert side.objects() == kept


def test_orphans_are_listed_and_the_ways_on_are_named(data: Path) -> None:
    with self_hosted(data) as side:
        stray = put(side, original_key(new_id()))
        age(data)
        done = reconcile("--json")
        assert (done.exit_code, report_of(done)["orphans"]) == (0, 1)
        assert f"orphan: {stray} ({len(BODY)} bytes)" in done.stderr
        assert "--adopt" in done.stderr
        assert "--remove-orphans" in done.stderr
        assert side.objects() == {stray}


def test_right_after_a_restore_it_says_why_it_lists_nothing(data: Path) -> None:
    with self_hosted(data) as side:
        stray = put(side, original_key(new_id()))
        done = reconcile("--json")
        assert (report_of(done)["orphans"], report_of(done)["orphans_young"]) == (0, 1)
        assert "objects younger than 60 minutes" in done.stderr
        assert "--grace-minutes 0" in done.stderr
        done = reconcile("--grace-minutes", "0", "--json")
        assert (report_of(done)["orphans"], report_of(done)["orphans_young"]) == (1, 0)
        assert stray in done.stderr


@pytest.mark.parametrize(
    ("options", "answer", "code", "removed"),
    [
        ((), "y\n", 0, 1),
        ((), "n\n", 1, 0),
        ((), "\n", 1, 0),
        ((), None, 1, 0),
        (("--yes",), None, 0, 1),
    ],
)
def test_nothing_is_deleted_before_somebody_has_agreed(
    data: Path, options: tuple[str, ...], answer: str | None, code: int, removed: int
) -> None:
    with self_hosted(data) as side:
        image = an_image(owner=ANONYMOUS, status=Status.READY)
        side.images.create(image, claim=False)
        kept = put(side, original_key(image.id))
        stray = put(side, original_key(new_id()))
        age(data)
        done = reconcile("--remove-orphans", "--json", *options, answer=answer)
        assert (done.exit_code, report_of(done)["orphans_removed"]) == (code, removed)
        assert side.objects() == ({kept} if removed else {kept, stray})
        if not options:
            assert f"Delete these 1 objects ({len(BODY):,} bytes) permanently?" in done.stderr
        if answer is None and not removed:
            assert "Add --yes" in done.stderr


def test_a_database_that_knows_none_of_the_files_is_doubted(data: Path) -> None:
    with self_hosted(data) as side:
        put(side, original_key(new_id()))
        age(data)
    done = reconcile("--remove-orphans", answer="n\n")
    assert "DARKROOM_DATABASE_URL" in done.stderr
    assert done.exit_code == 1


def test_without_orphans_nothing_is_asked(data: Path) -> None:
    done = reconcile("--remove-orphans")
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.slow
def test_adopted_originals_become_images_of_the_owner_that_was_named(data: Path) -> None:
    with self_hosted(data) as side:
        image_id = new_id()
        put(side, original_key(image_id))
        old = put(side, variant_key(image_id, "old", "a.webp"))
        junk = put(side, "originals/no-id")
        done = reconcile("--adopt", "--owner", "ann", "--grace-minutes", "0", "--json")
        assert (done.exit_code, report_of(done)["orphans_adopted"]) == (0, 1)
        done = reconcile("--remove-orphans", "--yes", "--grace-minutes", "0", "--json")
        assert report_of(done)["orphans_removed"] == 1  # of no image; the variant belongs to one now
        assert side.objects() == {original_key(image_id), old}
        assert junk not in side.objects()
    with serving(data) as server, self_hosted(data) as side:

        def ready() -> bool:
            found = side.images.get(image_id)
            return isinstance(found, Image) and found.status is Status.READY

        wait_for(ready, 60, server.log.read_text)
        found = side.images.get(image_id)
        assert isinstance(found, Image)
        assert (found.owner, found.width, found.content_type) == ("ann", 320, "image/jpeg")
        sha256 = found.sha256 or ""
        # The worker claims the hash after the record is ready.
        wait_for(lambda: side.images.find_hash("ann", sha256) == image_id, 60, server.log.read_text)
        assert list(found.superseded) == ["old"]


def test_adopting_and_removing_at_once_removes_only_what_could_not_be_adopted(data: Path) -> None:
    with self_hosted(data) as side:
        image_id = new_id()
        kept = {put(side, original_key(image_id)), put(side, variant_key(image_id, "old", "a.webp"))}
        put(side, variant_key(new_id(), "old", "a.webp"))
        done = reconcile("--adopt", "--remove-orphans", "--yes", "--grace-minutes", "0", "--json")
        assert (report_of(done)["orphans_adopted"], report_of(done)["orphans_removed"]) == (1, 1)
        assert side.objects() == kept
        found = side.images.get(image_id)
        assert isinstance(found, Image)
        assert found.owner == ANONYMOUS


def test_with_required_keys_an_adopted_image_needs_an_owner(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_AUTH", "required")
    assert reconcile("--adopt").exit_code == 2
    assert reconcile("--adopt", "--owner", "not an owner").exit_code == 2
    assert reconcile("--adopt", "--owner", "ann").exit_code == 0
