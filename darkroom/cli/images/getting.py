"""`darkroom get`: download originals and variants."""

import sys
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from darkroom import Client, DarkroomError
from darkroom.cli.console import DONE, INTERRUPTED, NOT_DONE, write_json, write_line
from darkroom.cli.failures import print_failure
from darkroom.cli.image_file import printable, to_text
from darkroom.cli.images.filenames import distinct_name, full_name, has_content, safe_name
from darkroom.cli.images.options import (
    OUTPUT,
    SELECTION,
    After,
    Before,
    ContentType,
    Json,
    Owner,
    StatusFilter,
    Tags,
    Trashed,
    Url,
    VisibilityFilter,
    build_filters,
    read_ids,
)
from darkroom.cli.images.session import FATAL, session
from darkroom.cli.options import DEFAULT_URL
from darkroom.cli.patience import Stopped
from darkroom.cli.senders import Senders, finished
from darkroom.records import Image, Variant

#: Downloads that are begun ahead of the one that is reported next.
_AHEAD = 32
#: Longest time until downloads that are interrupted have ended.
_STOP_SECONDS = 3


class _File(NamedTuple):
    """A file to download. Without `variant` it is the original."""

    image: Image
    variant: Variant | None
    path: Path


class _Missing(DarkroomError):
    """The image has no such variant."""


def get(  # noqa: PLR0913 - all options of the command
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ID",
            help="Ids of images, or - for the lines of standard input. Without ids, a filter selects.",
            show_default=False,
            rich_help_panel=SELECTION,
        ),
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All images.", rich_help_panel=SELECTION)] = False,
    tag: Tags = None,
    status: StatusFilter = None,
    content_type: ContentType = None,
    visibility: VisibilityFilter = None,
    uploaded_after: After = None,
    uploaded_before: Before = None,
    trashed: Trashed = False,
    owner: Owner = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A variant such as w640.webp instead of the original. Can be repeated.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    to: Annotated[
        str,
        typer.Option(metavar="DIR|-", help="Folder for the files, or - for standard output.", rich_help_panel=OUTPUT),
    ] = ".",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace other files of the same names.", rich_help_panel=OUTPUT),
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(
            min=1, max=32, metavar="N", help="Files that are received at the same time.", rich_help_panel=OUTPUT
        ),
    ] = 4,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Download originals or variants into a folder.

    Examples:

    darkroom get 01a21211-8a9b-7bc8-801b-cadcca2023b7

    darkroom get --tag sea --variant w640.webp --to website/

    darkroom get 01a21211-8a9b-7bc8-801b-cadcca2023b7 --to - > photo.jpg

    Run the command again to continue after an interruption: files that are
    there already are not downloaded. A file of the same name with another
    content stays, and the download gets the end of the image's id.

    Exit codes: 0 all files are there, 1 at least one is not, 2 wrong usage,
    3 the server cannot be reached, 4 not allowed, 130 interrupted.
    """
    filters = build_filters(
        tag=tag,
        status=status,
        content_type=content_type,
        visibility=visibility,
        uploaded_after=uploaded_after,
        uploaded_before=uploaded_before,
        trashed=trashed,
        owner=owner,
    )
    if bool(ids) + bool(filters or every) != 1:
        raise typer.BadParameter("give ids, or a filter such as --tag, or --all", param_hint="ID")
    wanted = read_ids(ids or [])
    with session(url) as client:
        images = map(client.get, wanted) if ids else client.images(**filters)
        if to == "-":
            _print(client, images, variant or [], count=len(wanted) * max(1, len(variant or [])))
            return
        folder = Path(to)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise typer.BadParameter(f"{printable(to)} is a file. Give a folder, or -", param_hint="--to") from None
        except OSError as error:
            raise typer.BadParameter(f"{printable(to)}: {error.strerror}", param_hint="--to") from None
        fetch = _Fetch(client, folder, overwrite=overwrite, as_json=as_json, jobs=jobs)
        code = fetch.run(wanted or images, variant or [])
    raise typer.Exit(code)


class _Fetch:
    """One run: files are received several at once, and reported in the order of the images."""

    def __init__(self, client: Client, folder: Path, *, overwrite: bool, as_json: bool, jobs: int) -> None:
        self._client, self._folder, self._overwrite, self._as_json = client, folder, overwrite, as_json
        self._senders = Senders(jobs)
        self._counts: Counter[str] = Counter()
        self._first: str = ""
        #: Paths that this run uses, in lower case, because some file systems do not tell cases apart.
        self._used: set[str] = set()
        self._stopped = threading.Event()
        self._waiting: deque[tuple[_File | str, Future[dict[str, Any]]]] = deque()

    def run(self, images: Iterable[Image | str], variants: list[str]) -> int:
        """Download files of images, which are records or ids. Return the exit code."""
        code = DONE
        try:
            for each in images:
                self._begin(each, variants)
                self._report_finished(_AHEAD)
            self._report_finished(0)
        except KeyboardInterrupt:
            code = INTERRUPTED
            write_line("Interrupted. Run the command again to continue.", error=True)
        except DarkroomError as error:
            code = print_failure(error, self._client.address)
        finally:
            self._stop()
        if self._counts or not code:
            self._print_summary()
        return code or (NOT_DONE if self._counts["refused"] else DONE)

    def _stop(self) -> None:
        """End running downloads, so that they remove their temporary files."""
        self._stopped.set()
        wait([outcome for _, outcome in self._waiting], timeout=_STOP_SECONDS)

    def _begin(self, given: Image | str, variants: list[str]) -> None:
        try:
            image = self._client.get(given) if isinstance(given, str) else given
            for variant in _find(image, variants):
                self._receive(image, variant)
        except FATAL:
            raise
        except DarkroomError as error:
            failed: Future[dict[str, Any]] = Future()
            failed.set_exception(error)
            self._waiting.append((given if isinstance(given, str) else given.id, failed))

    def _receive(self, image: Image, variant: Variant | None) -> None:
        """Choose the path of a file, and add it to those that are received."""
        name = safe_name(image, variant)
        for path in (self._folder / name, self._folder / distinct_name(name, image)):
            is_free = str(path).lower() not in self._used
            is_there = is_free and path.exists()
            known = is_there and has_content(path, image, variant)
            if known or (is_free and (self._overwrite or not is_there)):
                break
        self._used.add(str(path).lower())
        file = _File(image, variant, path)
        if known:
            outcome = finished({"state": "known", "bytes": path.stat().st_size})
        else:
            outcome = self._senders.add(lambda: self._download(file))
        self._waiting.append((file, outcome))

    def _download(self, file: _File) -> dict[str, Any]:
        """Receive a file, in one of the threads."""

        def progress(_: int = 0, __: int = 0) -> None:
            if self._stopped.is_set():
                raise Stopped

        progress()
        if file.path.exists() and not self._overwrite:
            raise DarkroomError(f"Another file has the name {printable(file.path)}.")
        size = self._client.download(file.image.id, file.path, variant=_full_name(file.variant), progress=progress)
        return {"state": "new", "bytes": size}

    def _report_finished(self, ahead: int) -> None:
        while self._waiting and (len(self._waiting) > ahead or self._waiting[0][1].done()):
            file, outcome = self._waiting[0]
            try:
                result = outcome.result()
            except FATAL:
                raise
            except DarkroomError as error:
                result = {"state": "refused", "detail": str(error)}
            self._waiting.popleft()
            self._report(file, result)

    def _report(self, file: _File | str, result: dict[str, Any]) -> None:
        image_id, path = (file, None) if isinstance(file, str) else (file.image.id, file.path)
        state, detail = result["state"], printable(result.get("detail", ""))
        self._counts[state] += 1
        self._first = self._first or detail
        if self._as_json:
            write_json({"id": image_id, **({"file": to_text(path)} if path else {}), **result})
        elif path is None or detail:
            write_line(f"{state:8}  {image_id}  {detail}", error=True)
        else:
            write_line(f"{state:8}  {printable(path)}")

    def _print_summary(self) -> None:
        total = self._counts.total()
        files = f"{total:,} {'file' if total == 1 else 'files'}"
        told = [f"{self._counts[state]:,} {state}" for state in ("new", "known", "refused") if self._counts[state]]
        more = f" ({self._first.rstrip('.')})" if self._first else ""
        write_line(f"{files}: {', '.join(told) or 'no images found'}{more}", error=True)


def _print(client: Client, images: Iterable[Image], variants: list[str], *, count: int) -> None:
    """Write the bytes of one file to standard output. Raises `BadParameter`."""
    if count != 1:
        raise typer.BadParameter("- is for one image, and one variant", param_hint="--to")
    if sys.stdout.isatty():
        raise typer.BadParameter("standard output is a terminal: send it to a file or a pipe", param_hint="--to")
    (image,) = images
    (variant,) = _find(image, variants)
    try:
        client.download(image.id, sys.stdout.buffer, variant=_full_name(variant))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        write_line("")  # also drops what is buffered


def _find(image: Image, names: list[str]) -> Iterator[Variant | None]:
    """Yield the variants with these names, or None for the original if there are no names. Raises `_Missing`."""
    if not names:
        yield None
    for name in names:
        stem, _, extension = name.partition(".")
        extension = "jpeg" if extension == "jpg" else extension
        found = [each for each in image.variants if each.name == stem and extension in {"", each.format}]
        if not found:
            known = ", ".join(map(full_name, image.variants)) or f"none, as it is {image.status}"
            raise _Missing(f"The image has no variant {name!r}. It has: {known}.")
        yield found[0]


def _full_name(variant: Variant | None) -> str | None:
    return None if variant is None else full_name(variant)
