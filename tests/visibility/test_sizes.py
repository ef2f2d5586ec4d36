"""Sizes on demand are removed with each change after which they may not be shown."""

import io

import pytest

from app.domain.keys import size_key, size_prefix
from tests.visibility.stage import TRASH_ENDS, Stage


def store_sizes(stage: Stage) -> None:
    """Store a size at both places."""
    for public in (False, True):
        key = size_key(stage.image_id, "w8-q75.webp", public=public)
        stage.side.store.put(key, io.BytesIO(b"size"), size=4, content_type="image/webp")


def sizes(stage: Stage) -> list[str]:
    prefixes = (size_prefix(stage.image_id, public=public) for public in (False, True))
    return [info.key for prefix in prefixes for info in stage.side.store.list(prefix)]


@pytest.mark.parametrize("operation", ["publish", "hide", "focus", "trash", "delete"])
@pytest.mark.parametrize("public", [False, True])
def test_a_change_removes_them(stage: Stage, operation: str, public: bool) -> None:
    stage.upload(public=public)
    store_sizes(stage)
    if operation == ("publish" if public else "hide"):  # no change
        getattr(stage, operation)()
        assert len(sizes(stage)) == 2
        return
    getattr(stage, operation)()
    assert sizes(stage) == []


def test_a_title_keeps_them(stage: Stage) -> None:
    stage.upload(public=True)
    store_sizes(stage)
    stage.title()
    assert len(sizes(stage)) == 2


def test_a_restore_removes_those_of_the_trash(stage: Stage) -> None:
    stage.upload(public=False)
    stage.trash()
    store_sizes(stage)
    stage.restore()
    assert sizes(stage) == []


def test_another_rendering_removes_them(stage: Stage) -> None:
    stage.upload(public=True)
    stage.focus()
    store_sizes(stage)  # by a renderer that has read the record before
    stage.process()
    assert sizes(stage) == []
    store_sizes(stage)
    stage.reprocess()
    stage.process()
    assert len(sizes(stage)) == 2, "the same rendering again changes no size"


def test_late_public_sizes_are_removed_by_the_tasks(stage: Stage) -> None:
    """A renderer that read the record before may store a size after the change, and be killed."""
    for operation in (stage.hide, stage.delete):
        stage.upload(public=True)
        operation()
        store_sizes(stage)
        stage.reconcile()
        assert not [key for key in sizes(stage) if key.startswith("ondemand/")]
    assert sizes(stage) == []


def test_sizes_are_no_rendering(stage: Stage) -> None:
    stage.upload(public=True)
    store_sizes(stage)
    stage.side.renderings.synchronize(stage.image_id)
    assert not stage.image().superseded  # type: ignore[union-attr] # it is an image
    stage.reconcile(after=TRASH_ENDS)
    assert len(sizes(stage)) == 2
