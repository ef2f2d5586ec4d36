"""The `darkroom` command: its own commands, and those that the server registers."""

import errno
import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from darkroom import __version__
from darkroom.cli.console import DONE, INTERRUPTED, NOT_DONE, USAGE, drop, print_error, write_line
from darkroom.cli.lazy import Command, CommandGroup
from darkroom.cli.signals import interruptible
from darkroom.cli.usage import describe_usage

#: The commands for users of a server. Operator commands join through the entry points of the group `darkroom.commands`.
COMMANDS = (
    Command("upload", "darkroom.cli.upload:upload", "Upload images, or folders of images."),
    Command("list", "darkroom.cli.images.reading:list_images", "List images, the newest first."),
    Command("show", "darkroom.cli.images.reading:show", "Show the record of an image."),
    Command("get", "darkroom.cli.images.getting:get", "Download originals or variants into a folder."),
    Command("edit", "darkroom.cli.images.changing:edit", "Change the title, tags or other fields of images."),
    Command(
        "delete",
        "darkroom.cli.images.changing:delete",
        "Delete images, to the trash if there is one.",
    ),
    Command("restore", "darkroom.cli.images.changing:restore", "Restore images from the trash."),
    Command("similar", "darkroom.cli.images.reading:similar", "List the look-alikes of an image, the closest first."),
    Command("url", "darkroom.cli.images.links:url", "Print the url of an image in any size."),
    Command("html", "darkroom.cli.images.links:html", "Print the HTML that shows an image, with all its sizes."),
    Command("open", "darkroom.cli.images.links:open_", "Open an image, or the page of the server, in the browser."),
    Command("stats", "darkroom.cli.images.reading:stats", "Show how many images there are, and their sizes."),
    Command("webhook", "darkroom.cli.webhooks.endpoints:webhooks", "Webhook endpoints.", "Webhooks"),
    Command("delivery", "darkroom.cli.webhooks.deliveries:deliveries", "Deliveries of webhooks.", "Webhooks"),
)


#: Errors of a full disk, or of one where the user may not store more.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class _Darkroom(CommandGroup):
    own = COMMANDS

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Ctrl-C ends it with one line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            write_line("\nInterrupted.", error=True)  # not on the line of `^C` or of a question
            raise typer.Exit(INTERRUPTED) from None


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
    """Run the console script. Wrong usage and output that cannot be written end it with three lines."""
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):  # names may have letters that the terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with interruptible():
            code = cli(prog_name="darkroom", standalone_mode=False)
    except typer.Abort:  # Ctrl-D at a question
        write_line("", error=True)
        sys.exit(INTERRUPTED)
    except TyperException as error:
        _print_usage(error)
        sys.exit(USAGE)
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        print_error("cannot write the output", error.strerror or str(error), "free space, or write it to another place")
        drop(sys.stdout)
        sys.exit(NOT_DONE)
    sys.exit(code or DONE)


def _replace_closed_streams() -> None:
    """Open the null device for standard streams that are closed, as `<&-` does, for which Python has no object."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - stays open until the process ends


def _print_usage(error: TyperException) -> None:
    context = getattr(error, "ctx", None)
    if context is None or len(sys.argv) == 1:  # the text is the help
        write_line(error.format_message(), error=True)
        return
    path = context.command_path
    if cause := describe_usage(error):  # else the help is printed already
        print_error(f"wrong usage of {path}", cause, f"{path} --help")
