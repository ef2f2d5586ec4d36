"""Output of commands: exit codes, errors in three lines, results that survive a closed pipe."""

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import IO, Any

import typer
from rich.cells import cell_len

from darkroom.cli.image_file import printable
from darkroom.errors import DarkroomError, NotDarkroom

#: Exit codes: done; some refused or failed; wrong usage; no answer in time; not allowed; interrupted by the user.
DONE, NOT_DONE, USAGE, UNREACHABLE, NOT_ALLOWED, INTERRUPTED = 0, 1, 2, 3, 4, 130
#: Errors of TLS, with their names and lines in the source of Python.
_TLS = re.compile(r"\[SSL(?:: \w+)?\] (.*?) \(_ssl\.c:\d+\)")
#: Width of a terminal from which the id and the name of a file share a line.
WIDE = 72


def write_line(text: str, *, error: bool = False) -> bool:
    """Print a line. Return False if nobody reads it, as after `| head`: later output is dropped silently.

    Raises `Exit` if standard output cannot be written, as on a full disk.
    """
    stream = sys.stderr if error else sys.stdout
    try:
        typer.echo(text, file=stream)
    except BrokenPipeError:
        drop(stream)
        return False
    except OSError as failure:
        drop(stream)
        if not error:
            print_error("cannot write the output", failure.strerror or str(failure), "write it to another place")
            raise typer.Exit(NOT_DONE) from None
        return False
    return True


def write_json(value: Mapping[str, Any]) -> bool:
    """Print an object as one line of JSON. Return False if nobody reads it."""
    return write_line(json.dumps(value))


def print_error(what: str, cause: str, remedy: str) -> None:
    """Print an error in three lines."""
    cause = _TLS.sub(r"TLS: \1", cause)
    for label, text in (("error", what), ("cause", cause), ("try", remedy)):
        write_line(f"{label}: {printable(text)}", error=True)


def is_other_server(error: DarkroomError) -> bool:
    """Return True if the server that answered is not Darkroom, or has it at another path."""
    if isinstance(error, NotDarkroom):
        return True
    # Simple servers of files answer an unknown method with 405 or 501.
    return error.status in {404, 405, 501} and error.code in {None, "no_such_path"}


def shorten(text: str, columns: int, *, keep_end: bool = False) -> str:
    """Return the text, without its end if it takes more columns of a terminal, or without its start with `keep_end`.

    Chinese, Japanese and Korean characters and emoji take two columns. An ellipsis marks the cut.
    """
    if cell_len(text) <= columns:
        return text
    kept, room = "", columns - 1
    for character in reversed(text) if keep_end else text:
        room -= cell_len(character)
        if room < 0:
            break
        kept = character + kept if keep_end else kept + character
    return f"…{kept}" if keep_end else f"{kept}…"


def colored(text: str, color: str | None, stream: IO[str]) -> str:
    """Return the text in a color where the stream is a terminal and NO_COLOR is not set."""
    return typer.style(text, fg=color) if stream.isatty() and not os.environ.get("NO_COLOR") else text


def drop(stream: IO[str]) -> None:
    """Send all further output of a stream to nowhere, also what the interpreter flushes at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
