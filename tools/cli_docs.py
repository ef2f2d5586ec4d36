"""Write docs/cli.md from the help of the commands: `python tools/cli_docs.py`. With `--check`, only compare it."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from darkroom.cli.command import cli

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
HEAD = """# Command line

`make cli-docs` writes this page from the help of the commands: `darkroom --help`, `darkroom upload --help`.
[`first-session.md`](first-session.md) shows a first session.

The commands for images talk to the server at `DARKROOM_URL`, with the API key in `DARKROOM_API_KEY`. They are in the
package of the [Python client](client.md), which `make wheel` builds for other machines. The commands for the server
read [its settings](settings.md), so they run where the server is installed: in a checkout, and in its image.
`darkroom --install-completion` installs completion for your shell.
"""


def main(arguments: list[str]) -> int:
    """Write or compare the page; return the exit status."""
    page = build_page()
    if "--check" not in arguments:
        PAGE.write_text(page)
    elif PAGE.read_text() != page:
        print("docs/cli.md is not what the commands say in their help: run make cli-docs.", file=sys.stderr)
        return 1
    return 0


def build_page() -> str:
    """Return the page as Markdown."""
    group = get_command(cli)
    context = group.make_context("darkroom", [], resilient_parsing=True)
    panels: dict[str, list[Any]] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        panels.setdefault(command.rich_help_panel, []).append(enter(command, name, context))
    index = [f"| {panel} | {', '.join(map(link, contexts))} |" for panel, contexts in panels.items()]
    parts = [HEAD, "\n".join(["| for | commands |", "|---|---|", *index]) + "\n"]
    for contexts in panels.values():
        parts += [part for each in contexts for part in describe(each, "##")]
    return "\n".join(parts)


def enter(command: Any, name: str, parent: Any) -> Any:
    """Return the context of a command, which imports it."""
    return command.make_context(name, [], parent=parent, resilient_parsing=True)


def link(context: Any) -> str:
    """Return a link to the section of a command."""
    return f"[`{context.info_name}`](#{context.command_path.replace(' ', '-')})"


def describe(context: Any, heading: str) -> Iterator[str]:
    """Yield the section of a command and those of its subcommands."""
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"{heading} {context.command_path}\n"
    yield f"```text\n{usage}\n```\n"
    yield from paragraphs(inspect.cleandoc(command.help or ""))
    rows = [row for parameter in command.params if (row := describe_parameter(parameter, context))]
    if rows:
        yield "\n".join(["| option | meaning |", "|---|---|", *rows]) + "\n"
    for name in getattr(command, "commands", {}):
        yield from describe(enter(command.commands[name], name, context), heading + "#")


def paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text, and its examples as one block: up to the next paragraph of sentences."""
    examples: list[str] | None = None
    for paragraph in text.split("\n\n"):
        if paragraph in {"Example:", "Examples:"}:
            examples = []
        elif examples is not None and not paragraph.endswith((".", ":")):
            examples.append(paragraph.replace("\n", " \\\n    "))
        else:
            yield from code_block(examples)
            examples = None
            yield paragraph + "\n"
    yield from code_block(examples)


def code_block(lines: list[str] | None) -> Iterator[str]:
    """Yield the commands as a block of code, if there are any."""
    if lines:
        yield "```shell\n" + "\n".join(lines) + "\n```\n"


def describe_parameter(parameter: Any, context: Any) -> str | None:
    """Return the row of an option or an argument; None if it has no help."""
    if parameter.name == "help" or getattr(parameter, "hidden", False) or not parameter.help:
        return None
    if parameter.param_type_name == "argument":
        name = f"`{parameter.metavar or parameter.name.upper()}`"
    else:
        value = (
            ""
            if parameter.is_flag
            else f" {parameter.metavar or choices(parameter, context) or parameter.name.upper()}"
        )
        name = ", ".join(f"`{each}{value}`" for each in (*parameter.opts, *parameter.secondary_opts))
    notes = [parameter.help.rstrip(".") + "."]
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if high is not None:
        notes.append(f"{low} to {high}.")
    elif low is not None:
        notes.append(f"At least {low}.")
    if parameter.required:
        notes.append("Required.")
    if parameter.envvar:
        notes.append(f"Environment: `{parameter.envvar}`.")
    if parameter.default not in (None, False, (), []) and not callable(parameter.default):
        notes.append(f"Default: `{getattr(parameter.default, 'value', parameter.default)}`.")
    return f"| {escape(name)} | {escape(' '.join(notes))} |"


def escape(text: str) -> str:
    """Escape the separator of cells."""
    return text.replace("|", "\\|")


def choices(parameter: Any, context: Any) -> str | None:
    """Return the values of a choice, or None for another option."""
    shown = str(parameter.display_type(context)).strip("<>").removeprefix("list[").removesuffix("]")
    return shown if "|" in shown else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
