"""Commands for images that are stored, on a real server."""

import io
import json
import os
import re
from pathlib import Path
from typing import Any

import httpx
import PIL.Image
import pytest

from darkroom import Client, Image
from tests.client.conftest import Command
from tests.samples import encoded

pytestmark = pytest.mark.slow

NOBODY = "01a21211-8a9b-7bc8-801b-cadcca2023b7"


@pytest.fixture
def images(client: Client) -> list[Image]:
    """Three images on an empty server, of which the first two have the same name."""
    tags = (["sea"], ["sea", "dusk"], ["hill"])
    names = ("photo.jpg", "photo.jpg", "../odd\u202e\nname?.jpg")
    return [
        client.upload(encoded("JPEG", 90, 60, seed=4000 + number), filename=name, tags=tag, wait=60)
        for number, (name, tag) in enumerate(zip(names, tags, strict=True))
    ]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def ids(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()]


def test_lists_have_the_newest_first_and_filters(darkroom: Command, images: list[Image]) -> None:
    first, second, third = (image.id for image in images)
    every = darkroom("list")
    assert (every.returncode, every.stderr) == (0, "3 images\n")
    assert ids(every.stdout) == [third, second, first]
    assert every.stdout.splitlines()[1] == f"{second}  ready           90×60  photo.jpg  #sea #dusk"
    assert ids(darkroom("list", "--tag", "sea", "--order", "asc").stdout) == [first, second]
    assert ids(darkroom("list", "--tag", "sea", "--tag", "dusk").stdout) == [second]
    assert ids(darkroom("list", "--limit", "1").stdout) == [third]
    assert ids(darkroom("list", "--uploaded-after", "2020-01-01", "--status", "ready").stdout) == [third, second, first]
    none = darkroom("list", "--uploaded-before", "2020-01-01T10:00")
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "no images found\n")
    records = darkroom("list", "--json", "--content-type", "image/jpeg", "--visibility", "public")
    assert [record["id"] for record in lines(records.stdout)] == [third, second, first]
    assert records.stderr == ""


def test_records_are_shown_for_people_and_programs(darkroom: Command, images: list[Image]) -> None:
    image = images[1]
    shown = darkroom("show", image.id)
    assert shown.returncode == 0
    assert f"id          {image.id}\nstatus      ready\nfile        photo.jpg\n" in shown.stdout
    assert "tags        sea, dusk\n" in shown.stdout
    assert re.search(r"variant     w320\.webp  \d+×\d+  [\d.]+ (bytes|kB)  quality 82\n", shown.stdout)
    many = darkroom("show", "-", "--json", "--wait", "5", stdin=f"{images[0].id}\n{image.id}\n".encode())
    assert [record["id"] for record in lines(many.stdout)] == [images[0].id, image.id]
    missing = darkroom("show", NOBODY, image.id, "--json")
    assert missing.returncode == 1
    assert missing.stderr == f"refused  {NOBODY}  There is no image with this id.\n"
    assert [record["id"] for record in lines(missing.stdout)] == [image.id]


def test_originals_are_downloaded_once_under_safe_names(darkroom: Command, images: list[Image], tmp_path: Path) -> None:
    to = tmp_path / "out"
    first = darkroom("get", "--all", "--to", to)
    assert (first.returncode, first.stderr) == (0, "3 files: 3 new\n")
    other = f"photo-{images[0].id[-12:]}.jpg"
    assert sorted(path.name for path in to.iterdir()) == sorted(["photo.jpg", other, "oddname_.jpg"])
    assert (to / other).read_bytes() == encoded("JPEG", 90, 60, seed=4000)
    before = {path: path.stat().st_mtime_ns for path in to.iterdir()}
    again = darkroom("get", "--all", "--to", to)
    assert (again.returncode, again.stderr) == (0, "3 files: 3 known\n")
    assert {path: path.stat().st_mtime_ns for path in to.iterdir()} == before
    (to / "photo.jpg").unlink()
    assert darkroom("get", "--tag", "sea", "--to", to, "--json").stdout.count('"state": "new"') == 1


def test_files_of_others_are_overwritten_on_request_only(
    darkroom: Command, images: list[Image], tmp_path: Path
) -> None:
    image = images[0]
    (tmp_path / "photo.jpg").write_text("other")
    kept = darkroom("get", image.id, "--to", tmp_path)
    assert kept.returncode == 0
    assert (tmp_path / "photo.jpg").read_text() == "other"
    assert (tmp_path / f"photo-{image.id[-12:]}.jpg").exists()
    replaced = darkroom("get", image.id, "--to", tmp_path, "--overwrite")
    assert replaced.returncode == 0
    assert (tmp_path / "photo.jpg").read_bytes() == encoded("JPEG", 90, 60, seed=4000)


def test_variants_are_downloaded_by_name(darkroom: Command, images: list[Image], tmp_path: Path) -> None:
    image = images[0]
    done = darkroom("get", image.id, "--variant", "w320.webp", "--variant", "w1280.jpg", "--to", tmp_path, "--json")
    assert done.returncode == 0
    assert [line["file"] for line in lines(done.stdout)] == [
        str(tmp_path / "photo-w320.webp"),
        str(tmp_path / "photo-w1280.jpg"),
    ]
    wrong = darkroom("get", image.id, "--variant", "w1.webp", "--to", tmp_path)
    assert wrong.returncode == 1
    assert "The image has no variant 'w1.webp'. It has: thumb.webp, w320.webp," in wrong.stderr


def test_one_file_goes_to_standard_output(server: Any, darkroom: Command, images: list[Image], tmp_path: Path) -> None:
    with (
        (tmp_path / "out.jpg").open("wb") as out,
        darkroom.start("get", images[0].id, "--to", "-", stdout=out, stderr=None) as running,
    ):
        assert running.wait(60) == 0
    assert (tmp_path / "out.jpg").read_bytes() == encoded("JPEG", 90, 60, seed=4000)
    assert darkroom("get", images[0].id, images[1].id, "--to", "-").returncode == 2


def test_edits_change_fields_and_tags(darkroom: Command, client: Client, images: list[Image]) -> None:
    first, second, _ = images
    fields = [
        "--title",
        "T",
        "--alt",
        "A",
        "--metadata",
        "sku=1",
        "--focal-point",
        "0.5,0.25",
        "--visibility",
        "private",
    ]
    assert darkroom("edit", first.id, *fields).returncode == 0
    image = client.get(first.id)
    assert (image.title, image.alt, image.metadata, image.visibility) == ("T", "A", {"sku": "1"}, "private")
    assert image.focal_point is not None
    assert (image.focal_point.x, image.focal_point.y) == (0.5, 0.25)
    cleared = darkroom("edit", first.id, "--title", "", "--metadata", "sku=", "--focal-point", "", "--json")
    (record,) = lines(cleared.stdout)
    assert (record["title"], record["metadata"], record["focal_point"]) == (None, {}, None)
    listed = darkroom("list", "--tag", "sea").stdout.encode()
    assert darkroom("edit", "-", "--add-tag", "new", "--remove-tag", "sea", stdin=listed).returncode == 0
    assert [client.get(each.id).tags for each in (first, second)] == [("new",), ("dusk", "new")]
    assert darkroom("edit", first.id, "--tag", "only").returncode == 0
    assert client.get(first.id).tags == ("only",)
    refused = darkroom("edit", first.id, "--title", "x" * 300)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"refused  {first.id}  ")


def test_images_are_deleted_after_a_question_and_restored(
    darkroom: Command, client: Client, images: list[Image]
) -> None:
    first, second, _ = (image.id for image in images)
    asked = darkroom("delete", first)
    assert asked.returncode == 1
    assert asked.stderr == (
        "Move 1 image to the trash? [y/N] \nNothing was deleted. Add --yes to delete without asking.\n"
    )
    agreed = darkroom("delete", first, second, stdin=b"y\n")
    assert (agreed.returncode, agreed.stdout) == (0, f"trashed  {first}\ntrashed  {second}\n")
    assert darkroom("delete", first, "--yes", "--json").stdout == f'{{"id": "{first}", "state": "trashed"}}\n'
    trash = darkroom("list", "--trashed").stdout
    assert sorted(ids(trash)) == sorted([first, second])
    assert darkroom("restore", "-", stdin=trash.encode()).returncode == 0
    assert darkroom("delete", first, "--permanent", "--yes").stdout == f"deleted  {first}\n"
    assert len(list(client.images())) == 2
    gone = darkroom("restore", first)
    assert (gone.returncode, gone.stdout) == (1, "")


def test_look_alikes_are_listed_by_distance(darkroom: Command, client: Client, images: list[Image]) -> None:
    other = client.upload(encoded("PNG", 90, 60, seed=4000), filename="copy.png", wait=60)
    found = darkroom("similar", images[0].id)
    assert found.returncode == 0
    assert re.fullmatch(rf"\d+ +{other.id}  ready           90×60  copy\.png\n", found.stdout)
    (line,) = lines(darkroom("similar", images[0].id, "--json").stdout)
    assert (line["id"], line["distance"] <= 6) == (other.id, True)
    alone = darkroom("similar", images[2].id, "--max-distance", "0")
    assert (alone.returncode, alone.stdout, alone.stderr) == (0, "", "no look-alikes found\n")


def test_urls_show_the_image(server: Any, darkroom: Command, images: list[Image]) -> None:
    image = images[0].id
    plain = darkroom("url", image, "--width", "640", "--format", "webp")
    assert plain.stdout == f"{server.url}/i/{image}?w=640&fm=webp\n"
    assert httpx.get(plain.stdout.strip(), timeout=60).headers["Content-Type"] == "image/webp"
    assert darkroom("url", image, "--variant", "w320", "--json").stdout == (
        f'{{"id": "{image}", "url": "{server.url}/i/{image}?size=w320"}}\n'
    )
    server_secret = {"DARKROOM_SECRET": (server.data / "secret").read_text().strip()}
    signed = Command(server.url, server_secret)("url", image, "--width", "51", "--format", "png").stdout.strip()
    with PIL.Image.open(io.BytesIO(httpx.get(signed, timeout=60).content)) as shown:
        assert shown.width == 51
    assert httpx.get(signed.replace("w=51", "w=52"), timeout=60).status_code == 403


def test_markup_is_that_of_the_record(darkroom: Command, client: Client, images: list[Image]) -> None:
    image = client.get(images[0].id)
    assert darkroom("html", image.id).stdout == f"{image.embed.html}\n"
    assert darkroom("html", image.id, "--as", "markdown").stdout == f"{image.embed.markdown}\n"
    assert lines(darkroom("html", image.id, "--as", "srcset", "--json").stdout) == [
        {"id": image.id, "srcset": image.embed.srcset}
    ]
    broken = client.upload(encoded("PNG", 90, 60, seed=4010)[:-2000], filename="broken.png", wait=60)
    refused = darkroom("html", broken.id)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"refused  {broken.id}  The image is failed, so it has no markup.\n"


def test_the_browser_opens_the_page_and_images(server: Any, images: list[Image], tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    browser.chmod(0o755)
    darkroom = Command(server.url, {"BROWSER": str(browser)})
    assert darkroom("open").stdout == f"{server.url}/\n"
    assert darkroom("open", images[0].id).stdout == f"{server.url}/i/{images[0].id}\n"
    darkroom("edit", images[1].id, "--visibility", "private")
    private = darkroom("open", images[1].id).stdout.strip()
    assert httpx.get(private, follow_redirects=True, timeout=60).status_code == 200
    assert (tmp_path / "opened").read_text().splitlines() == [
        f"{server.url}/",
        f"{server.url}/i/{images[0].id}",
        private,
    ]


def test_statistics_are_numbers(darkroom: Command, images: list[Image]) -> None:
    shown = darkroom("stats")
    assert shown.returncode == 0
    assert "images      3 (3 ready, 0 pending, 0 failed)\n" in shown.stdout
    assert re.search(
        r"\nwebp        [\d.]+ .?B of originals, [\d.]+ .?B as the largest variant \(\d+ %\), ", shown.stdout
    )
    (record,) = lines(darkroom("stats", "--json").stdout)
    assert [(each["format"], each["images"]) for each in record["formats"]] == [("jpeg", 3), ("webp", 3)]
    assert (record["images"], record["ready"], record["exact"]) == (3, 3, True)


def test_bytes_that_are_no_text_are_replaced(darkroom: Command, client: Client, images: list[Image]) -> None:
    odd = os.fsdecode(b"a\xffb")
    assert darkroom("edit", images[0].id, "--title", odd, "--add-tag", odd).returncode == 0
    image = client.get(images[0].id)
    assert (image.title, image.tags) == ("a\ufffdb", ("sea", "a\ufffdb"))
    assert ids(darkroom("list", "--tag", odd).stdout) == [image.id]
    assert darkroom("url", image.id, "--slug", odd).returncode == 0


def test_a_full_disk_is_three_lines(darkroom: Command, images: list[Image]) -> None:
    with Path("/dev/full").open("wb") as full, darkroom.start("list", stdout=full) as running:
        assert running.stderr is not None
        assert running.stderr.read().startswith("error: cannot write the output\ncause: No space left on device\ntry: ")
    assert running.returncode == 1


def test_a_reader_that_closes_the_pipe_ends_a_list_silently(darkroom: Command, images: list[Image]) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # before the command can write
    with darkroom.start("list", stdout=writing) as running:
        os.close(writing)
        assert running.stderr is not None
        assert running.stderr.read() == ""
    assert running.returncode == 0


COMMANDS = ["list", "show ID", "get ID", "edit ID --title x", "delete ID --yes", "restore ID", "similar ID", "html ID",
            "open", "stats"]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_server_each_ends_with_three_lines(tmp_path: Path, command: str) -> None:
    done = Command("http://127.0.0.1:1")(*command.replace("ID", NOBODY).split())
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[:3] == [
        "error: cannot reach http://127.0.0.1:1",
        "cause: Connection refused",
        "try: darkroom serve, or set DARKROOM_URL",
    ]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("show no-id", "'no-id' is not the id of an image"),
        ("edit ID", "give at least one change"),
        ("edit ID --tag a --add-tag b", "not with --add-tag or --remove-tag"),
        ("edit ID --focal-point 1", "'1' is not a point such as 0.5,0.25"),
        ("edit ID --focal-point nan,0", "'nan,0' is not a point such as 0.5,0.25"),
        ("edit ID --metadata x", "'x' is not NAME=TEXT"),
        ("list --uploaded-after yesterday", "'yesterday' is not a time such as 2026-11-22"),
        ("get", "give ids, or a filter such as --tag, or --all"),
        ("get ID --all", "give ids, or a filter such as --tag, or --all"),
        ("url ID --variant w320 --width 9", "A variant has its own size, format and quality."),
        ("show - --url nonsense", "Invalid address of the service (found: 'nonsense')."),
        ("nothing", "No such command 'nothing'."),
        ("lisst", "No such command 'lisst'. Did you mean 'list'?"),
    ],
)
def test_wrong_usage_is_code_2(darkroom: Command, command: str, expected: str) -> None:
    done = darkroom(*command.replace("ID", NOBODY).split())
    assert (done.returncode, done.stdout) == (2, "")
    error, cause, remedy = done.stderr.splitlines()
    assert error.startswith("error: wrong usage of darkroom")
    assert expected in cause
    assert re.fullmatch(r"try: darkroom( \w+)? --help", remedy)
    assert os.linesep not in cause
