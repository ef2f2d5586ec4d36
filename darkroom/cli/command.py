"""The `darkroom` command: its own commands, and those that the server registers."""

import io
import sys
from typing import Annotated

import typer

from darkroom import __version__
from darkroom.cli.lazy import Command, CommandGroup

#: The commands for users of a server. Operator commands join through the entry points of the group `darkroom.commands`.
COMMANDS = (Command("upload", "darkroom.cli.upload:upload", "Upload images."),)


class _Darkroom(CommandGroup):
    own = COMMANDS


cli = typer.Typer(cls=_Darkroom, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"darkroom {__version__}")
        raise typer.Exit


@cli.callback()
def _darkroom(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Darkroom from the command line.

    Commands for images talk to the server at DARKROOM_URL. Operator commands
    read the settings of the server from DARKROOM_* and work on its stores.
    """


def main() -> None:
    """Run the console script."""
    for stream in (sys.stdout, sys.stderr):  # names may have letters that the terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name="darkroom")
