"""Any folder of images is imported as uploads of an owner."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.models import Image, Status, Visibility
from app.domain.ports import ListQuery
from tests.contract.records import walk
from tests.samples import encoded
from tests.transfer.installations import Installation, installation


@pytest.fixture(params=["self-hosted", "moto", pytest.param("engines", marks=pytest.mark.engines)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(request.param, tmp_path / "target") as opened:
        yield opened


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder as people have them."""
    folder = tmp_path / "photos"
    (folder / "2026" / "@eaDir").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "a.jpg").write_bytes(encoded("JPEG", seed=1))
    (folder / "2026" / "b.png").write_bytes(encoded("PNG", seed=2))
    (folder / "2026" / "same as a.jpg").write_bytes(encoded("JPEG", seed=1))
    (folder / "2026" / "wrong ending.txt").write_bytes(encoded("WEBP", seed=3))
    for name in (".hidden/c.jpg", "2026/@eaDir/d.jpg", ".e.jpg"):
        (folder / name).write_bytes(encoded("JPEG", seed=4))
    (folder / "notes.txt").write_text("no image")
    (folder / "empty.jpg").write_text("")
    (folder / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "link.jpg").symlink_to(folder / "a.jpg")
    os.mkfifo(folder / "pipe.jpg")
    return folder


def images(target: Installation, owner: str) -> list[Image]:
    return walk(target.side.images, ListQuery(owner=owner, limit=100, descending=False))


def test_images_are_stored_and_other_files_are_named(target: Installation, photos: Path) -> None:
    arguments = ("import", photos, "--owner", "ann", "--tag", "holiday, 2026", "--visibility", "private")
    done = target.run(*arguments)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("9 files: 3 new (")
    assert done.stdout.endswith("1 known, 5 ignored (not images)\n")
    assert set(done.stderr.splitlines()) >= {
        "empty.jpg: the file is empty", "link.jpg: a symbolic link", "pipe.jpg: not a regular file"
    }  # fmt: skip
    assert "drawing.svg: Unsupported image format (found: SVG)." in done.stderr
    found = images(target, "ann")
    assert {image.content_type for image in found} == {"image/jpeg", "image/png", "image/webp"}
    for image in found:
        assert (image.status, image.visibility) == (Status.PENDING, Visibility.PRIVATE)
        assert image.tags == ["holiday", "2026"]
    assert {image.filename for image in found} >= {"b.png", "wrong ending.txt"}
    assert target.side.objects() == {f"originals/{image.id}" for image in found}
    again = target.report(*arguments)
    assert (again["new"], again["known"], again["ignored"], again["complete"]) == (0, 4, 5, True)
    assert [image.id for image in images(target, "ann")] == [image.id for image in found]


def test_images_above_the_limits_are_refused(target: Installation, photos: Path) -> None:
    size = (photos / "a.jpg").stat().st_size
    done = target.run(
        "import", photos, DARKROOM_MAX_UPLOAD_BYTES=str(size - 1), DARKROOM_ACCEPTED_TYPES="image/jpeg,image/png"
    )
    assert done.exit_code == 1
    assert f"a.jpg: larger than {size - 1:,} bytes, the limit of this service" in done.stderr
    assert "wrong ending.txt: Unsupported image format (found: WebP). Accepted: JPEG, PNG." in done.stderr
    assert "refused (" in done.stdout
    assert all(image.content_type == "image/png" for image in images(target, "anonymous"))


def test_wrong_arguments_store_nothing(target: Installation, photos: Path) -> None:
    for arguments, words in (
        (("--owner", "a b"), "not a valid owner"),
        (("--tag", "x" * 65), "The limit is 64"),
        (("--visibility", "hidden"), "private"),
    ):
        done = target.run("import", photos, *arguments)
        assert done.exit_code == 2
        assert words in " ".join(done.stderr.replace("│", " ").split())
    done = target.run("import", photos, DARKROOM_AUTH="required")
    assert done.exit_code == 2
    assert "--owner" in done.stderr
    assert target.side.objects() == set()


def test_the_data_folder_of_an_installation_must_be_exported_first(target: Installation, tmp_path: Path) -> None:
    with installation("self-hosted", tmp_path / "other") as other:
        done = target.run("import", other.data)
        assert done.exit_code == 1
        assert "it is the data folder of an installation" in done.stderr
        assert f"DARKROOM_STORAGE_URL=file:{other.data}" in done.stderr
