"""Client of a command, and the end of a command by an error."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import typer

from darkroom import Client
from darkroom.cli.console import (
    DONE,
    NOT_ALLOWED,
    NOT_DONE,
    UNREACHABLE,
    is_other_server,
    print_error,
    write_line,
)
from darkroom.errors import DarkroomError, FileError, InvalidArgument, NotAllowed, NotDarkroom, ServerError, Unreachable

DEFAULT_URL = "http://127.0.0.1:8000"
#: Errors that end a command. Others concern one image.
FATAL = (NotAllowed, Unreachable, NotDarkroom, ServerError, InvalidArgument)


@contextmanager
def session(url: str) -> Iterator[Client]:
    """Open a client for the block. Errors end the command with three lines and their exit code."""
    try:
        with Client(url, os.environ.get("DARKROOM_API_KEY")) as client:
            try:
                yield client
            except InvalidArgument:
                raise
            except DarkroomError as error:
                raise typer.Exit(print_failure(error, client.address)) from None
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from None


def for_each(ids: Iterable[str], work: Callable[[str], None]) -> None:
    """Do the work for each id. A refused id is reported and does not end the loop.

    Raises `Exit` at the end if one was refused, and errors that concern all of them.
    """
    code = DONE
    for image_id in ids:
        try:
            work(image_id)
        except FATAL:
            raise
        except DarkroomError as error:
            write_line(f"refused  {image_id}  {error}", error=True)
            code = NOT_DONE
    if code:
        raise typer.Exit(code)


def print_failure(error: DarkroomError, address: str) -> int:
    """Print an error in three lines. Return its exit code."""
    what, cause, remedy, code = f"{address} refuses the request", str(error), "see the cause", NOT_DONE
    if isinstance(error, Unreachable):
        what, cause, code = f"cannot reach {error.address}", error.cause, UNREACHABLE
        remedy = "darkroom serve, or set DARKROOM_URL"
    elif is_other_server(error):
        what, code = f"cannot use {address}", UNREACHABLE
        remedy = "set DARKROOM_URL to the address of a Darkroom server"
    elif isinstance(error, NotAllowed):
        what, code = f"{address} does not allow this", NOT_ALLOWED
        remedy = "set DARKROOM_API_KEY to a key that may do it"
    elif isinstance(error, FileError):
        what, remedy = "cannot use a local file", "choose another file or folder"
    elif isinstance(error, ServerError):
        full = error.status == 507
        what, code = f"{address} cannot answer now", NOT_DONE if full else UNREACHABLE
        remedy = "delete images, or ask its operator for space" if full else "run the command again later"
    elif error.status == 404:
        what, remedy = "no such image", "look it up with darkroom list"
    print_error(what, cause, remedy)
    return code
