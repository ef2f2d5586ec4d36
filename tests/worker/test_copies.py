"""Further images of the same bytes: each is found by its hash once the others are deleted, also after crashes."""

import hashlib
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import Unavailable
from app.domain.ids import new_id
from app.domain.images.service import Images
from app.domain.keys import original_key
from app.domain.models import ANONYMOUS, utcnow
from app.domain.uploads.requests import Upload
from app.domain.uploads.service import Uploads
from app.worker.process import Outcome
from tests.contract.records import an_image
from tests.samples import encoded
from tests.sides import Interposed, once
from tests.worker.conftest import Bench

BODY = encoded()
DIGEST = hashlib.sha256(BODY).hexdigest()


def adopted(bench: Bench) -> str:
    """Store bytes without a record, as somebody may who can write to the bucket."""
    image_id = bench.place(BODY)
    assert bench.worker(adopt=True).handle(image_id) is Outcome.READY
    return image_id


class Killed(BaseException):
    """End of a process at this point."""


def interrupted(bench: Bench) -> str:
    """Upload a copy with `on_duplicate=create`, and kill the server when its bytes are stored."""

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    uploads = Uploads(Interposed(bench.side.store, after={"create": kill}), bench.side.images)
    known = {image.id for image in bench.side.images.scan()}
    with pytest.raises(Killed):
        uploads.accept(ANONYMOUS, Upload(io.BytesIO(BODY), len(BODY), DIGEST, "image/png"), keep_duplicate=True)
    (image_id,) = {image.id for image in bench.side.images.scan()} - known
    assert bench.worker().handle(image_id) is Outcome.READY
    return image_id


def put_back(bench: Bench) -> str:
    """Have the bytes of an old record arrive while reconcile removes it."""
    image_id = new_id()
    record = an_image(id=image_id, owner=ANONYMOUS, sha256=DIGEST, bytes=len(BODY))
    bench.side.images.create(record, claim=False)

    def arrive() -> None:
        bench.side.store.create(original_key(image_id), io.BytesIO(BODY), size=len(BODY), content_type="image/png")

    images = Interposed(bench.side.images, after={"remove_all": once(arrive)})
    bench.side.having(images=images).reconciler.run(now=utcnow() + timedelta(hours=2))
    assert bench.worker().handle(image_id) is Outcome.READY
    return image_id


def by_ticket(bench: Bench) -> str:
    """Upload a copy with a ticket that does not name the hash, and end the worker before it claims the bytes."""
    image_id = bench.place(BODY)
    ends = utcnow() + timedelta(days=1)
    ticket = an_image(id=image_id, owner=ANONYMOUS, sha256=None, bytes=len(BODY), upload_expires_at=ends)
    bench.side.images.create(ticket, claim=False)

    def end() -> None:
        raise Unavailable("no")

    worker = bench.worker(images=Interposed(bench.side.images, before={"claim": once(end)}))
    with pytest.raises(Unavailable):
        worker.handle(image_id)
    assert worker.handle(image_id) is Outcome.DUPLICATE
    return image_id


@pytest.mark.slow
@pytest.mark.parametrize("make", [adopted, interrupted, put_back, by_ticket])
def test_a_copy_is_found_when_the_first_image_is_deleted(bench: Bench, make: Callable[[Bench], str]) -> None:
    first = bench.upload(BODY, ANONYMOUS)
    assert bench.worker().handle(first) is Outcome.READY
    copy = make(bench)
    assert Images(bench.side.images).look_up(ANONYMOUS, [DIGEST]) == {DIGEST: first}
    bench.side.deletion.delete(ANONYMOUS, first)
    assert Images(bench.side.images).look_up(ANONYMOUS, [DIGEST]) == {DIGEST: copy}
