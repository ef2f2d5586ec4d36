"""Commands that are imported when they run, so that help and other commands start at once."""

import shutil
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from enum import Enum
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Any, ClassVar, NamedTuple, get_args

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

#: Entry points of this group name iterables of `Command`.
GROUP = "darkroom.commands"
#: Width of a terminal from which options are shown in tables.
_TABLE_COLUMNS = 64


class Command(NamedTuple):
    """Name, place and summary of a command.

    `target` is `module:attribute` of a function or of a `typer.Typer`. `summary` is the first sentence of its help.
    """

    name: str
    target: str
    summary: str
    #: Heading in the list of commands.
    panel: str = "Images"


class CommandGroup(TyperGroup):
    """The commands of `own`, followed by those of the entry points."""

    own: ClassVar[Iterable[Command]] = ()

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the arguments."""
        adapt_help(self)
        return super().make_context(info_name, args, parent=parent, **extra)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - given by typer
        """Return the names of all commands, in the order of the help text."""
        return list(dict.fromkeys(command.name for command in self._all()))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return a command that is not yet imported, or None if there is none of that name."""
        return next((_LazyCommand(command) for command in self._all() if command.name == cmd_name), None)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first argument names. An unknown name ends with the closest one as a suggestion."""
        names = self.list_commands(ctx)
        if args[0] not in names and (close := get_close_matches(args[0], names, 1)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def _all(self) -> Iterator[Command]:
        yield from self.own
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            yield from _read(entry)


def _read(entry: EntryPoint) -> tuple[Command, ...]:
    """Return the commands of an entry point. Those that cannot be loaded are reported and left out."""
    try:
        return tuple(Command(*fields) for fields in entry.load())
    except Exception as error:  # noqa: BLE001 - the code of another package
        typer.echo(f"warning: the commands of {entry.value} cannot be loaded: {_reason(error)}", err=True)
        return ()


class _LazyCommand(TyperCommand):
    """Name and summary of a command, which is replaced by the command itself as soon as it gets arguments."""

    def __init__(self, command: Command) -> None:
        super().__init__(command.name, help=command.summary, rich_help_panel=command.panel)
        self._command = command

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the command and parse its arguments."""
        return _load(self._command).make_context(info_name, args, parent=parent, **extra)


def _load(command: Command) -> Any:
    try:
        target = resolve_name(command.target)
    except Exception as error:  # noqa: BLE001 - the code of another package
        typer.echo(f"error: the command {command.name} cannot be loaded: {_reason(error)}", err=True)
        raise typer.Exit(1) from None
    if not isinstance(target, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(command.name)(target)
        target = single
    loaded: Any = get_command(target)
    loaded.name = command.name
    adapt_help(loaded)
    return loaded


class _NarrowContext(typer.Context):
    """Context of a command whose help has a narrow first column; longer names have lines of their own."""

    def make_formatter(self) -> Any:
        """Return the formatter of the help."""
        formatter: Any = super().make_formatter()
        formatter.write_dl = partial(formatter.write_dl, col_max=max(8, formatter.width // 2 - 2))
        return formatter


def adapt_help(command: Any) -> None:
    """Name the values of options instead of their types: `--title TITLE`, and nothing after a flag.

    A terminal can be too narrow for tables, which cut names of options.
    """
    columns = shutil.get_terminal_size().columns
    if columns < _TABLE_COLUMNS:
        command.rich_markup_mode = None
        command.context_settings = {**command.context_settings, "terminal_width": columns}
        command.context_class = _NarrowContext
    for option in command.get_params(typer.Context(command)):
        if option.param_type_name != "option":
            option.display_type_rich = lambda ctx: None  # noqa: ARG005 - the signature of typer
        elif option.metavar is not None:
            continue
        elif option.is_flag:
            option.metavar = ""
        elif not _is_choice(option):
            option.metavar = option.name.upper().replace("_", "-")
    for each in getattr(command, "commands", {}).values():
        adapt_help(each)


def _is_choice(option: Any) -> bool:
    """Return True if the help lists the values of the option."""
    kind = option.type_descriptor.annotation
    kind = next(iter(get_args(kind)), kind)
    return isinstance(kind, type) and issubclass(kind, Enum)


def _reason(error: Exception) -> str:
    return " ".join(f"{error or type(error).__name__}".split())
