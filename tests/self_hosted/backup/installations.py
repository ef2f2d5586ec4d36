"""A small installation, the command, and comparisons of folders."""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from app.domain.keys import original_key, variant_key
from app.domain.models import Format, Image, Status, Variant, Visibility
from app.domain.work import Task
from darkroom.cli.command import cli
from tests.contract.records import an_image
from tests.sides import Side, self_hosted

VARIANT = b"a variant"


def store(side: Side, body: bytes, *, visibility: Visibility = Visibility.PRIVATE, **fields: Any) -> Image:
    """A ready image with one variant."""
    image = an_image(sha256=hashlib.sha256(body).hexdigest(), bytes=len(body), visibility=visibility, **fields)
    side.images.create(image, claim=True)
    put(side, original_key(image.id), body)
    is_public = visibility is Visibility.PUBLIC
    put(side, variant_key(image.id, "abcdef012345", "w9.webp", public=is_public), VARIANT)
    variant = Variant(name="w9", format=Format.WEBP, width=9, height=9, bytes=len(VARIANT), file="w9.webp")
    ready = {"status": Status.READY, "rendering_id": "abcdef012345", "variants": [variant], "placed": visibility}
    return side.images.update(image.id, 1, ready | {"work": {Task.PROCESS: None}})


def put(side: Side, key: str, body: bytes) -> None:
    side.store.put(key, io.BytesIO(body), size=len(body), content_type="")


def backup(*arguments: str | Path) -> Result:
    """Run `darkroom backup`."""
    return CliRunner().invoke(cli, ["backup", *map(str, arguments)])


def report(result: Result) -> dict[str, Any]:
    """The report of a run with --json."""
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def created(target: Path, *options: str) -> Path:
    """A new backup, which is complete."""
    done = backup("create", target, "--json", *options)
    assert (done.exit_code, done.stderr) == (0, ""), (done.output, done.exception)
    return target / str(report(done)["name"])


def records(folder: Path) -> list[Image]:
    """All records of a data folder."""
    with self_hosted(folder) as side:
        return list(side.images.scan())


def files(folder: Path) -> dict[str, bytes]:
    """Originals and variants in a data folder or a backup, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for top in ("originals", "processed")
        for path in (folder / top).rglob("*")
        if path.is_file()
    }


def inodes(folder: Path) -> dict[str, int]:
    """Numbers of these files."""
    return {name: (folder / name).stat().st_ino for name in files(folder)}


def rewrite(path: Path, body: bytes) -> None:
    """Change a file and keep its times, as a failing disk does."""
    found = path.stat()
    path.write_bytes(body)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
