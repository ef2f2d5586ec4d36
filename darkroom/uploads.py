"""Uploads of one image and of many."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed
from concurrent.futures import wait as wait_for
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Literal, TypedDict, Unpack

from darkroom.errors import DarkroomError, InvalidArgument, NotAllowed, NotFound, ServerError, Unreachable
from darkroom.images import ImageCalls
from darkroom.records import FocalPoint, Image, Visibility
from darkroom.sources import Payload, Source, open_payload
from darkroom.uploading import WAIT_SECONDS, Progress, TicketUpload, clean_fields, send_form, send_url

#: Images that are looked up in one request of `upload_many`. Their files are open at the same time.
_BATCH = 64

OnDuplicate = Literal["reuse", "create"]


class Description(TypedDict, total=False):
    """Description of an image that is uploaded. Absent fields and None are not sent."""

    title: str | None
    alt: str | None
    tags: Sequence[str] | None
    metadata: Mapping[str, str] | None
    #: Absent: `DARKROOM_DEFAULT_VISIBILITY` of the service.
    visibility: Visibility | None
    focal_point: FocalPoint | Mapping[str, float] | None
    #: Owner of the image. Any but your own needs the scope `admin`.
    owner: str | None


@dataclass(frozen=True, kw_only=True)
class UploadResult:
    """Outcome of one upload of many: an image or an error."""

    source: Source
    image: Image | None = None
    error: DarkroomError | None = None

    def unwrap(self) -> Image:
        """Return the image, or raise the error."""
        if self.image is None:
            raise self.error or DarkroomError("The upload has no result.")
        return self.image


class UploadCalls(ImageCalls):
    """Uploads. The methods can be called from several threads."""

    def upload(
        self,
        source: Source,
        *,
        filename: str | None = None,
        wait: float = 0,
        on_duplicate: OnDuplicate = "reuse",
        progress: Progress | None = None,
        **description: Unpack[Description],
    ) -> Image:
        """Upload a file, bytes or an open binary file, and return the record of the image.

        Bytes that are stored already are not sent, and the record has `duplicate`. `on_duplicate="create"` stores them
        once more. Transfers that fail are repeated, and no image is stored twice. An image above `max_upload_bytes` is
        sent with an upload ticket, straight to the store.

        With `wait`, the record is returned once the image is ready or failed, or as it is after these seconds.
        `progress` is called with the number of bytes sent and the size.

        >>> image = client.upload("photo.jpg", title="Lighthouse", tags=["sea"], wait=60)
        >>> image.status, image.width, image.height
        ('ready', 640, 480)
        >>> from pathlib import Path
        >>> client.upload(Path("photo.jpg").read_bytes(), filename="again.jpg").duplicate
        True
        """
        _check(on_duplicate)
        with open_payload(source, filename) as payload:
            known = self._find([payload], on_duplicate, description)
            return self._deliver(payload, known, wait, on_duplicate, progress, description)

    def upload_url(
        self,
        url: str,
        *,
        filename: str | None = None,
        wait: float = 0,
        on_duplicate: OnDuplicate = "reuse",
        **description: Unpack[Description],
    ) -> Image:
        """Have the service fetch an image from a url, and return the record of the image.

        The service fetches from the hosts in its setting `DARKROOM_FETCH_HOSTS`, and `limits().url_uploads` is False if
        there are none. If it does not fetch the image, `Refused` says why: `error.code`, and `reason` in
        `error.problem`. Without `filename` the image is named by the other server, or by the end of the url.

        >>> image = client.upload_url("https://img.example.org/photo.jpg", tags=["sea"], wait=60)
        >>> image.filename, image.source_url
        ('photo.jpg', 'https://img.example.org/photo.jpg')
        """
        _check(on_duplicate)
        if not isinstance(url, str) or not url:
            raise InvalidArgument(f"Expected the url of an image (found: {url!r:.80}).")
        fields = clean_fields(description) | ({} if filename is None else {"filename": filename})
        image = send_url(self._connection, url, fields, wait=wait, on_duplicate=on_duplicate)
        if image.status != "pending" or wait <= WAIT_SECONDS:
            return image
        try:
            return replace(self.get(image.id, wait=wait - WAIT_SECONDS), duplicate=image.duplicate)
        except (NotAllowed, ServerError, Unreachable):
            return image

    def upload_many(
        self,
        sources: Iterable[Source],
        *,
        jobs: int = 4,
        wait: float = 0,
        on_duplicate: OnDuplicate = "reuse",
        progress: Callable[[Source, int, int], None] | None = None,
        **description: Unpack[Description],
    ) -> Iterator[UploadResult]:
        """Upload images, `jobs` at a time, and yield a result for each as it finishes: an image or an error.

        All get the same description. `progress` is called with the source, the number of bytes sent and the size, from
        several threads. To stop early, leave the loop: uploads that have not begun are dropped.

        >>> results = client.upload_many(["photo.jpg", "no-such-file.jpg"], jobs=8)
        >>> sorted(result.image.status if result.image else str(result.error) for result in results)
        ['no-such-file.jpg cannot be read: No such file or directory.', 'ready']
        """
        _check(on_duplicate)
        if isinstance(sources, str | bytes | os.PathLike):
            raise InvalidArgument("Expected several sources, such as a list of paths (found: one).")
        if jobs < 1:
            raise InvalidArgument(f"jobs must be at least 1 (found: {jobs}).")

        def deliver(prepared: _Prepared, known: Mapping[str, str]) -> UploadResult:
            source, report = prepared.source, None
            if progress is not None:
                report = partial(progress, source)
            try:
                with prepared as payload:
                    image = self._deliver(payload, known, wait, on_duplicate, report, description)
            except DarkroomError as error:
                return UploadResult(source=source, error=error)
            return UploadResult(source=source, image=image)

        pool = ThreadPoolExecutor(jobs, thread_name_prefix="darkroom-upload")
        left, open_files, running = iter(sources), ExitStack(), set[Future[UploadResult]]()
        try:
            while batch := list(islice(left, _BATCH)):
                prepared = list(pool.map(_Prepared, batch))
                for each in prepared:
                    open_files.callback(each.close)
                known = self._find([each.payload for each in prepared if each.payload], on_duplicate, description)
                running |= {pool.submit(deliver, each, known) for each in prepared}
                while len(running) > jobs:
                    finished, running = wait_for(running, return_when=FIRST_COMPLETED)
                    yield from (each.result() for each in finished)
            yield from (each.result() for each in as_completed(running))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            open_files.close()

    def _find(
        self, payloads: Sequence[Payload], on_duplicate: OnDuplicate, description: Description
    ) -> Mapping[str, str]:
        """Return the ids of the images whose bytes are stored already and may be reused, by their hashes."""
        if on_duplicate == "create":
            return {}
        return self.lookup({payload.sha256 for payload in payloads}, owner=description.get("owner"))

    def _deliver(
        self,
        payload: Payload,
        known: Mapping[str, str],
        wait: float,
        on_duplicate: OnDuplicate,
        progress: Progress | None,
        description: Description,
    ) -> Image:
        if payload.sha256 in known:
            found = Image(id=known[payload.sha256], status="ready", duplicate=True)
            try:
                return self._complete(found, payload, 0)
            except NotFound:  # it was deleted a moment ago
                pass
        fields = clean_fields(description)
        if on_duplicate == "create" or payload.bytes <= self._known_limits().max_upload_bytes:
            image = send_form(
                self._connection, payload, fields, wait=wait, on_duplicate=on_duplicate, progress=progress
            )
            wait -= WAIT_SECONDS
        else:
            image = TicketUpload(self._connection, payload, fields, progress).deliver()
        return self._complete(image, payload, wait)

    def _complete(self, image: Image, payload: Payload, wait: float) -> Image:
        """Return the whole record of a stored image, after the wait.

        If the key cannot read, or the service does not answer any more, that is the record as it is known.
        """
        if image.raw and (image.status != "pending" or wait <= 0):
            return image
        known = image if image.raw else replace(image, bytes=payload.bytes, sha256=payload.sha256)
        try:
            return replace(self.get(image.id, wait=wait), duplicate=image.duplicate)
        except (NotAllowed, ServerError, Unreachable):
            return known


class _Prepared:
    """A source that is open and hashed, or the reason why it cannot be. Left or closed, it is closed."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.payload: Payload | None = None
        self._error: DarkroomError | None = None
        self._stack = ExitStack()
        try:
            self.payload = self._stack.enter_context(open_payload(source))
        except DarkroomError as error:
            self._error = error

    def __enter__(self) -> Payload:
        if self.payload is None:
            raise self._error or DarkroomError("The source is closed.")
        return self.payload

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()


def _check(on_duplicate: str) -> None:
    if on_duplicate not in {"reuse", "create"}:
        raise InvalidArgument(f"on_duplicate must be 'reuse' or 'create' (found: {on_duplicate!r:.80}).")
