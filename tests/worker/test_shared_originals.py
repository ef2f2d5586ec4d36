"""Originals that a child reads without a copy: where the store and the system can, and a copy elsewhere."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.filesystem import FilesystemStore
from app.domain.keys import original_key
from app.domain.models import Status
from app.worker.jobs import Job, Processed
from app.worker.process import Outcome
from app.worker.sandbox.confinement import protects_source
from app.worker.sandbox.parent import Sandbox
from tests.samples import encoded
from tests.sides import self_hosted
from tests.tiers import smoke
from tests.worker.conftest import Bench
from tests.worker.sandbox import escapes


class Looking(Sandbox):
    """A sandbox that records how many names the source has, and the arguments of its child."""

    def __init__(self, inner: Sandbox) -> None:
        super().__init__(60, 1024)
        self.found: list[tuple[int, bool]] = []
        self._inner = inner

    def process(self, source: Path, out: Path, job: Job, *, memory_mb: int | None = None) -> Processed:
        self.found.append((source.stat().st_nlink, job.source_is_shared))
        return self._inner.process(source, out, job, memory_mb=memory_mb)


@pytest.fixture
def files(tmp_path: Path, sandbox: Sandbox) -> Iterator[Bench]:
    (tmp_path / "scratch").mkdir()
    with self_hosted(tmp_path / "data") as side:
        yield Bench(side, tmp_path / "scratch", sandbox)


def read(bench: Bench, image_id: str) -> bytes:
    with bench.side.store.open(original_key(image_id)) as stream:
        return stream.read()


def test_an_image_is_processed_with_and_without_a_copy(bench: Bench, sandbox: Sandbox) -> None:
    for share in (False, True):
        body = encoded("JPEG", 300, 200 + share)
        image_id = bench.upload(body)
        looking = Looking(sandbox)
        worker = bench.worker(sandbox=looking, share_originals=share and protects_source())
        assert worker.handle(image_id) is Outcome.READY
        is_shared = share and protects_source() and isinstance(bench.side.store, FilesystemStore)
        assert looking.found == [(2 if is_shared else 1, is_shared)]
        assert bench.image(image_id).status is Status.READY
        assert read(bench, image_id) == body
        assert not list(bench.scratch.iterdir())


@pytest.mark.parametrize("code", smoke([errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP]))
def test_the_child_reads_a_copy_if_the_system_refuses_links(
    files: Bench, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    body = encoded("JPEG", 300, 200)
    image_id = files.upload(body)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    looking = Looking(sandbox)
    assert files.worker(sandbox=looking, share_originals=True).handle(image_id) is Outcome.READY
    assert looking.found == [(1, False)]
    assert read(files, image_id) == body


def test_an_original_that_is_replaced_on_the_disk_is_not_processed(files: Bench) -> None:
    image_id = files.upload(encoded("JPEG", 300, 200))
    other = files.upload(encoded("JPEG", 300, 201))
    ours, theirs = (files.side.store.path(original_key(each)) for each in (image_id, other))  # type: ignore[attr-defined]
    shutil.copyfile(theirs, ours)
    assert files.worker(share_originals=protects_source()).handle(image_id) is Outcome.FAILED
    assert files.image(image_id).error.code == "corrupt_image"  # type: ignore[union-attr]


def test_a_hijacked_child_changes_no_original(bench: Bench) -> None:
    for share in (False, True):
        body = encoded("JPEG", 300, 200 + share)
        image_id = bench.upload(body)
        hostile = Sandbox(60, 1024, work=escapes.attack_source)
        worker = bench.worker(sandbox=hostile, share_originals=share and protects_source())
        assert worker.handle(image_id) is Outcome.FAILED
        assert read(bench, image_id) == body
        assert not list(bench.scratch.iterdir())
