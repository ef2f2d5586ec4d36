"""Images that change between the copy of the database and that of their files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.adapters.filesystem import locate
from app.adapters.sqlite import SqliteFiles
from app.domain.maintenance.backup.create import CreateReport, Creation, Installation
from app.domain.maintenance.backup.target import open_target
from app.domain.maintenance.transfer.folder import FolderError
from app.domain.models import Image, Tombstone, Visibility, utcnow
from tests.self_hosted.backup.installations import backup, files, records, store
from tests.sides import Side, self_hosted


class ChangesLater(SqliteFiles):
    """The live installation changes after each copy of the database, and after each update of its records."""

    def __init__(self, *changes: Callable[[], object]) -> None:
        self._changes = list(changes)

    def copy(self, source: Path, target: Path) -> int:
        version = super().copy(source, target)
        if self._changes:
            self._changes.pop(0)()
        return version

    def follow(self, copy: Path, live: Path, image_ids: object) -> object:  # type: ignore[override]
        followed = super().follow(copy, live, image_ids)  # type: ignore[arg-type]
        if self._changes:
            self._changes.pop(0)()
        return followed


def create(data: Path, target: Path, *changes: Callable[[], object]) -> CreateReport:
    place = Installation(data, data / "darkroom.db")
    with open_target(target, data) as opened:
        creation = Creation(place, opened, ChangesLater(*changes), locate)
        return creation.run(utcnow(), version="0.1.0")


def restored(target: Path, folder: Path) -> list[Image]:
    assert backup("verify", target).exit_code == 0
    assert backup("restore", target, "--into", folder).exit_code == 0
    return records(folder)


def set_visibility(side: Side, image: Image, visibility: Visibility) -> Callable[[], object]:
    class Patch:
        def apply(self, _: Image) -> dict[str, object]:
            return {"visibility": visibility}

    return lambda: side.editor.edit(None, image.id, Patch())


def test_an_image_deleted_meanwhile_is_deleted_in_the_backup(
    data: Path, side: Side, target: Path, tmp_path: Path
) -> None:
    kept, gone = store(side, b"kept"), store(side, b"gone")
    report = create(data, target, lambda: side.deletion.delete(None, gone.id))
    assert (report.changed, report.missing, report.is_good) == (1, [], True)
    assert restored(target, tmp_path / "restored") == [kept]
    with self_hosted(tmp_path / "restored") as other:
        assert isinstance(other.images.get(gone.id), Tombstone)
        other.reconciler.run(now=utcnow())
        assert other.images.find_hash(gone.owner, gone.sha256 or "") is None
        assert other.counters.get(kept.owner) == side.counters.get(kept.owner)


def test_an_image_hidden_meanwhile_is_private_in_the_backup(
    data: Path, side: Side, target: Path, tmp_path: Path
) -> None:
    image = store(side, b"shown", visibility=Visibility.PUBLIC)
    report = create(data, target, set_visibility(side, image, Visibility.PRIVATE))
    assert (report.changed, report.is_good) == (1, True)
    (found,) = restored(target, tmp_path / "restored")
    assert (found.visibility, found.placed) == (Visibility.PRIVATE, Visibility.PRIVATE)
    assert all("public" not in name for name in files(tmp_path / "restored"))


def test_an_image_that_changes_again_is_followed(data: Path, side: Side, target: Path, tmp_path: Path) -> None:
    image = store(side, b"shown", visibility=Visibility.PUBLIC)

    def publish_and_sweep() -> None:
        set_visibility(side, image, Visibility.PUBLIC)()
        side.store.delete_prefix(f"processed/{image.id}/")

    report = create(data, target, set_visibility(side, image, Visibility.PRIVATE), publish_and_sweep)
    assert (report.changed, report.is_good) == (2, True)
    (found,) = restored(target, tmp_path / "restored")
    assert found.placed is Visibility.PUBLIC


def test_an_image_uploaded_meanwhile_is_in_the_next_backup(
    data: Path, side: Side, target: Path, tmp_path: Path
) -> None:
    first = store(side, b"first")
    later: list[Image] = []
    create(data, target, lambda: later.append(store(side, b"later")))
    assert restored(target, tmp_path / "one") == [first]
    create(data, target)
    assert restored(target, tmp_path / "two") == [first, *later]


def test_a_ticket_that_expires_meanwhile_is_not_missed(data: Path, side: Side, target: Path) -> None:
    image = store(side, b"one")
    report = create(data, target, lambda: side.images.remove(image.id, image.version) or side.store.delete(
        f"originals/{image.id}"
    ))  # fmt: skip
    assert (report.images, report.changed, report.is_good) == (0, 1, True)


@pytest.mark.parametrize(
    ("error", "shown"),
    [(KeyboardInterrupt, KeyboardInterrupt), (MemoryError, MemoryError), (OSError, FolderError)],
)
def test_any_end_of_a_run_leaves_nothing_of_it(
    data: Path, side: Side, target: Path, error: type[BaseException], shown: type[BaseException]
) -> None:
    store(side, b"one")
    create(data, target)

    def fail() -> None:
        raise error

    with pytest.raises(shown):
        create(data, target, fail)
    assert len(list(target.iterdir())) == 2
    assert backup("verify", target).exit_code == 0
