"""Client of a command, and work on several images."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import typer

from darkroom import Client
from darkroom.cli.console import DONE, NOT_DONE, write_line
from darkroom.cli.failures import print_failure
from darkroom.cli.image_file import printable
from darkroom.errors import DarkroomError, InvalidArgument, NotAllowed, NotDarkroom, ServerError, Unreachable

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
            write_line(f"refused  {image_id}  {printable(str(error))}", error=True)
            code = NOT_DONE
    if code:
        raise typer.Exit(code)
