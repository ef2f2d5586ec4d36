"""Changes of a record that follow from moves of its variants."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from app.domain.keys import is_public_name, rendering_name
from app.domain.models import Changes, Image, Status, Tombstone, Visibility
from app.domain.work import LONGEST_ATTEMPT, RENDERING_LIFE, Task, Work


def list_files(image: Image) -> Collection[str]:
    """Return the files of the variants. Variants of equal size share one."""
    return {variant.file for variant in image.variants}


def shown_rendering(image: Image) -> str | None:
    """Return the name of the rendering that holds the current variants, or None."""
    public = image.placed is Visibility.PUBLIC
    return rendering_name(image.rendering_id, public=public) if image.rendering_id else None


def placement(found: Image | Tombstone | None) -> object:
    """Return a value that changes whenever the store must agree with another state of the record."""
    if not isinstance(found, Image):
        return None
    return found.effective_visibility, found.placed, found.rendering_id, found.status is Status.READY


def was_public(image: Image) -> bool:
    """Return True if public variants of the image may be stored, or cached by a CDN."""
    return (
        Visibility.PUBLIC in {image.effective_visibility, image.placed}
        or bool({Task.HIDE, Task.INVALIDATE} & image.work.keys())
        or any(is_public_name(name) for name in image.superseded)
    )


def guard_changes(now: datetime) -> Changes:
    """Return the changes to make before anything is stored that the record does not allow yet: `reconcile` makes the
    store agree with the record when no attempt can store any more."""
    return {"work": {Task.HIDE: Work.add(now, LONGEST_ATTEMPT)}}


def supersede_changes(
    image: Image, old: Iterable[str], now: datetime, *, current: str, public_life: timedelta = RENDERING_LIFE
) -> Changes:
    """Return the changes that schedule the removal of `old` renderings, and keep `current`. Both are names as in
    `keys.rendering_name`."""
    superseded: dict[str, datetime] = dict(image.superseded)
    for name in old:
        superseded.setdefault(name, now + rendering_life(name, public_life))
    superseded.pop(current, None)
    return sweep_changes(image, superseded, now)


def rendering_life(name: str, public_life: timedelta) -> timedelta:
    """Return the lifetime of a superseded rendering with this name."""
    return public_life if is_public_name(name) else RENDERING_LIFE


def is_swept_soon(image: Image, name: str, now: datetime) -> bool:
    """Return True if the rendering may be removed while an attempt that starts now is running."""
    return name in image.superseded and image.superseded[name] <= now + LONGEST_ATTEMPT


def sweep_changes(image: Image, superseded: Mapping[str, datetime], now: datetime) -> Changes:
    """Return the changes of the superseded renderings and of the task `sweep`, which is due with the first of them."""
    if superseded == image.superseded and (Task.SWEEP in image.work) == bool(superseded):
        return {}
    task = Work(since=now, due=min(superseded.values())) if superseded else None
    return {"superseded": dict(superseded), "work": {Task.SWEEP: task}}


def join_changes(*changes: Changes) -> Changes:
    """Merge changes of different fields, and their changes of `work` by task."""
    merged: Changes = {}
    work: dict[Task, Work | None] = {}
    for each in changes:
        merged |= each
        work |= each.get("work", {})
    return merged | ({"work": work} if work else {})
