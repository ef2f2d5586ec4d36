"""Output of `darkroom upload`: progress bars, a line for each file, and the counts."""

import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from darkroom.cli.console import WIDE, colored, shorten, write_json, write_line
from darkroom.cli.direct import SENT
from darkroom.cli.found_files import hide_secrets
from darkroom.cli.image_file import printable, to_text

#: Outcomes of a file, in addition to `SENT`.
NEW, KNOWN, TO_SEND, PENDING, FAILED, REFUSED = "new", "known", "to send", "pending", "failed", "refused"
#: Outcome of a file in a folder that is not an image.
SKIPPED = "skipped"
_COLORS = {
    NEW: typer.colors.GREEN,
    KNOWN: typer.colors.CYAN,
    TO_SEND: typer.colors.YELLOW,
    SENT: typer.colors.YELLOW,
    PENDING: typer.colors.YELLOW,
    FAILED: typer.colors.RED,
    REFUSED: typer.colors.RED,
}
#: Longest name before a bar, and the width of the text after it.
_NAME, _AMOUNT = 40, 18


class UploadReport:
    """Report of one run. Results go to standard output, other lines and progress bars to standard error."""

    def __init__(self, total: int, *, as_json: bool = False, progress: bool = True) -> None:
        self._total, self._as_json = total, as_json
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        console = Console(stderr=True)
        width = console.width
        self._name = max(8, min(_NAME, width // 2 - 4))
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),  # names may contain markup
            BarColumn(bar_width=max(4, min(40, width - self._name - _AMOUNT - 2))),
            _Amount(),
            console=console,
            disable=not (console.is_terminal and progress),
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # otherwise output to a file would appear on the terminal
        )
        self._all = self.bars.add_task("Total", total=total, visible=total > 1, files=True)
        self._begun = 0

    @contextmanager
    def bar(self, what: str, source: Path | str, size: int | None = None) -> Iterator["Bar"]:
        """Show a bar for this file or url within the block."""
        task = self.bars.add_task(shorten(_short(source), self._name), total=size, what=what)
        try:
            yield Bar(self.bars, task)
        finally:
            self.bars.remove_task(task)

    def begin(self) -> None:
        """Count a file as begun."""
        self._begun += 1

    def skip(self, path: Path, why: str) -> None:
        """Count a file in a folder that is not an image."""
        self._count(SKIPPED, path, why)

    def tell_lost(self, seconds: float) -> None:
        """Say that the server does not answer any more."""
        write_line(f"Connection lost. Retrying for {seconds:g} s.", error=True)

    def result(self, state: str, source: Path | str, record: dict[str, Any], why: str = "") -> None:
        """Print the outcome of a file or url."""
        why = printable(why)
        self._count(state, source, why)
        if self._as_json:
            write_json({"file": to_text(source), "state": state, **record})
            return
        is_error = state not in {NEW, KNOWN, SENT, TO_SEND}
        stream = sys.stderr if is_error else sys.stdout
        word = colored(f"{state:8}", _COLORS[state], stream)
        size = f"{record['width']}×{record['height']}" if record.get("width") else ""
        image_id = printable(record.get("id", "-"))
        name = printable(_shown(source))
        columns = shutil.get_terminal_size().columns if stream.isatty() else 0
        if columns and not why:
            name = shorten(name, columns - 12 - len(size) - (38 if columns >= WIDE else 0), keep_end=True)
        if columns and columns < WIDE:
            write_line("  ".join(filter(None, (word, name, size, why))), error=is_error)
            if image_id != "-":
                write_line(f"  {image_id}", error=is_error)
            return
        write_line("  ".join(filter(None, (word, image_id, name, size, why))), error=is_error)

    def print_summary(self) -> None:
        """Print the counts."""
        states = (NEW, KNOWN, TO_SEND, SENT, PENDING, FAILED, REFUSED, SKIPPED)
        told = [self._described(name, self._counts[name]) for name in states if self._counts[name]]
        total = max(self._total, self._begun)
        if (left := total - self._counts.total()) > 0:
            told.append(f"{left:,} not sent")
        files = f"{total:,} {'file' if total == 1 else 'files'}"
        write_line(f"{files}: {', '.join(told) or 'no images found'}", error=True)

    def _count(self, state: str, source: Path | str, why: str) -> None:
        self._counts[state] += 1
        self.bars.advance(self._all)
        if why:
            self._first.setdefault(state, f"{shorten(_short(source), _NAME)}: {why.partition('. ')[0].rstrip('.')}")

    def _described(self, name: str, number: int) -> str:
        first = self._first.get(name)
        more = f", and {number - 1:,} more" if number > 1 else ""
        return f"{number:,} {name} ({first}{more})" if first else f"{number:,} {name}"


def _shown(source: Path | str) -> Path | str:
    return source if isinstance(source, Path) else hide_secrets(source)


def _short(source: Path | str) -> str:
    shown = _shown(source)
    return printable(Path(shown).name or shown)


class Bar:
    """Progress bar of one file."""

    def __init__(self, bars: Progress, task: Any) -> None:
        self._bars, self._task = bars, task

    def update(self, sent: int) -> None:
        """Set the number of bytes sent."""
        self._bars.update(self._task, completed=sent)


class _Amount(ProgressColumn):
    """Bytes sent, the present step, or the number of files that are finished."""

    def render(self, task: Task) -> Text:
        if task.fields.get("files"):
            return Text(f"{task.completed:,.0f} of {task.total or 0:,.0f} files", no_wrap=True)
        if task.total is None:
            return Text(task.fields["what"], no_wrap=True)
        return Text(f"{decimal(int(task.completed))} of {decimal(int(task.total))}", no_wrap=True)
