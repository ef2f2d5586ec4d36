"""Output of `darkroom upload`: progress bars, a line for each file, the counts, and why a run ended early."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TransferSpeedColumn
from rich.text import Text

from darkroom.cli.attempts import Unreachable
from darkroom.cli.direct import SENT
from darkroom.cli.image_file import UploadError, printable

#: Outcomes of a file, in addition to `SENT`.
NEW, KNOWN, PENDING, FAILED, REFUSED = "new", "known", "pending", "failed", "refused"
_COLORS = {
    NEW: typer.colors.GREEN,
    KNOWN: typer.colors.CYAN,
    SENT: typer.colors.YELLOW,
    PENDING: typer.colors.YELLOW,
    FAILED: typer.colors.RED,
    REFUSED: typer.colors.RED,
}
_NAME = 40


class UploadReport:
    """Report of one run. Results go to standard output, other lines and progress bars to standard error."""

    def __init__(self, total: int, *, as_json: bool) -> None:
        #: Number of files in folders that are not images.
        self.skipped = 0
        self._total, self._as_json = total, as_json
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        console = Console(stderr=True)
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),  # names may contain markup
            BarColumn(),
            _Amount(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # otherwise output to a file would appear on the terminal
        )
        self._all = self.bars.add_task("Checking", total=total, visible=total > 1, files=True)
        self._begun = 0

    @contextmanager
    def bar(self, what: str, path: Path, size: int | None = None) -> Iterator["Bar"]:
        """Show a bar for this file within the block."""
        task = self.bars.add_task(f"{what} {_short(path)}", total=size)
        try:
            yield Bar(self.bars, task)
        finally:
            self.bars.remove_task(task)

    def begin(self) -> None:
        """Count a file as begun."""
        self._begun += 1
        self.bars.update(self._all, description=f"Uploading {self._begun} of {self._total}")

    def skip(self) -> None:
        """Count a file in a folder that is not an image."""
        self.skipped += 1
        self.bars.advance(self._all)

    def result(self, state: str, path: Path, record: dict[str, Any], why: str = "") -> None:
        """Print the outcome of a file."""
        self._counts[state] += 1
        self.bars.advance(self._all)
        if why:
            self._first.setdefault(state, f"{_short(path)}: {why.partition('. ')[0].rstrip('.')}")
        if self._as_json:
            typer.echo(json.dumps(record))
            return
        stream = sys.stdout if state in {NEW, KNOWN, SENT} else sys.stderr
        word = f"{state:8}"
        colored = stream.isatty() and not os.environ.get("NO_COLOR")
        size = f"{record['width']}×{record['height']}" if record.get("width") else ""
        fields = (record.get("id", "-"), printable(path), size, why)
        shown = typer.style(word, fg=_COLORS[state]) if colored else word
        typer.echo("  ".join(filter(None, (shown, *fields))), file=stream)

    def print_summary(self) -> None:
        """Print the counts."""
        counts = {name: self._counts[name] for name in (NEW, KNOWN, SENT, PENDING, FAILED, REFUSED)}
        told = [self._described(name, number) for name, number in counts.items() if number]
        if self.skipped:
            told.append(f"{self.skipped:,} skipped (not images)")
        if (left := self._total - sum(counts.values()) - self.skipped) > 0:
            told.append(f"{left:,} not sent")
        files = f"{self._total:,} {'file' if self._total == 1 else 'files'}"
        typer.echo(f"{files}: {', '.join(told) or 'no images found'}", err=True)

    def _described(self, name: str, number: int) -> str:
        first = self._first.get(name)
        more = f", and {number - 1:,} more" if number > 1 else ""
        return f"{number:,} {name} ({first}{more})" if first else f"{number:,} {name}"


class Bar:
    """Progress bar of one file."""

    def __init__(self, bars: Progress, task: Any) -> None:
        self._bars, self._task = bars, task

    def set_total(self, size: int) -> None:
        """Set the size of the file."""
        self._bars.update(self._task, total=size)

    def update(self, sent: int) -> None:
        """Set the number of bytes sent."""
        self._bars.update(self._task, completed=sent)


def _short(path: Path) -> str:
    name = printable(path.name)
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


class _Amount(ProgressColumn):
    """Bytes sent and their speed, or the number of files that are finished."""

    def __init__(self) -> None:
        super().__init__()
        self._speed = TransferSpeedColumn()

    def render(self, task: Task) -> Text:
        if task.fields.get("files"):
            return Text(f"{task.completed:,.0f} of {task.total or 0:,.0f} files")
        if task.total is None:
            return Text()
        sent = Text(f"{decimal(int(task.completed))} of {decimal(int(task.total))}")
        return Text(" ").join([sent, self._speed.render(task)]) if task.speed else sent


def print_failure(error: UploadError, url: str) -> None:
    """Print why the run ended early: the error, its cause and what to try."""
    code = error.problem.get("code")
    what, cause, remedy = f"cannot upload to {url}", str(error), "check DARKROOM_URL and the log of the server"
    if isinstance(error, Unreachable):
        what, cause = f"cannot reach {error.address}", error.cause
        remedy = "start the server (make run), or set DARKROOM_URL"
    elif code in {"key_missing", "key_unknown", "scope_missing"}:
        what, remedy = f"{url} refuses the API key", "set DARKROOM_API_KEY to a key with the scopes upload and read"
    elif code == "storage_full":
        what, remedy = f"{url} is full", "delete images, or ask its operator for space"
    for label, text in (("error", what), ("cause", cause), ("try", remedy)):
        typer.echo(f"{label}: {printable(text)}", err=True)
