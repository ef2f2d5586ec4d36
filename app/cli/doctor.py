"""`darkroom doctor`: what is wrong with an installation, and what to do."""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from app.cli.backends import log_briefly
from app.cli.checks import build_checks
from app.cli.failures import reports_failures
from app.cli.options import JSON_LINES
from app.domain.errors import ConfigurationError
from app.domain.maintenance.doctor.findings import Finding, Severity, diagnose, worst
from app.settings import load

_COLORS = {Severity.OK: typer.colors.GREEN, Severity.WARNING: typer.colors.YELLOW, Severity.ERROR: typer.colors.RED}
_CODES = {Severity.OK: 0, Severity.WARNING: 1, Severity.ERROR: 2}
#: Width of the columns of severity and check.
_SEVERITY, _CHECK = 9, 11
#: Narrowest terminal whose lines are indented under the second column.
_WIDE = 60


@reports_failures
def doctor(*, as_json: Annotated[bool, JSON_LINES] = False) -> None:
    """Check settings, rights, disk, clock, proxy, limits and stores, and say what to do.

    Examples:

    darkroom doctor

    darkroom doctor --json

    sudo -u darkroom darkroom doctor

    Run it as the user of the service, with its DARKROOM_* variables, before
    the first start or while the service runs. It changes no image. On AWS it
    reads the configuration of bucket, queue and table.

    Exit codes: 0 ok, 1 at least one warning, 2 at least one error, 130
    interrupted.
    """
    log_briefly()
    found: list[Finding] = []
    for finding in _findings():
        found.append(finding)
        typer.echo(json.dumps(asdict(finding)) if as_json else _shown(finding))
    if not as_json:
        typer.echo(_summary(found))
    raise typer.Exit(_CODES[worst(found)])


def _findings() -> Iterator[Finding]:
    try:
        settings = load()
    except ConfigurationError as error:
        complaints = [line.strip() for line in str(error).splitlines()]
        for complaint in complaints[1:] or complaints:
            remedy = "correct the variable (docs/settings.md)"
            yield Finding("settings", Severity.ERROR, "settings_invalid", complaint, remedy)
        return
    kind = "self-hosted" if settings.self_hosted else "on AWS"
    yield Finding("settings", Severity.OK, "ok", f"{kind}, {settings.storage_url} and {settings.database_url}")
    yield from diagnose(build_checks(settings))


def _shown(finding: Finding) -> str:
    """Return the lines of a finding, wrapped on a terminal."""
    word = f"{finding.severity:{_SEVERITY}}"
    lines = [f"{finding.check:{_CHECK}}{finding.detail}"]
    lines += [f"try: {finding.remedy}"] if finding.remedy else []
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        indents = (_CHECK if width >= _WIDE else 0, len("try: "))
        wrapped = [
            textwrap.wrap(line, width - _SEVERITY, subsequent_indent=" " * indent, break_on_hyphens=False)
            for line, indent in zip(lines, indents, strict=False)
        ]
        lines = [part for each in wrapped for part in each]
        if not os.environ.get("NO_COLOR"):
            word = typer.style(word, fg=_COLORS[finding.severity])
    return f"\n{' ' * _SEVERITY}".join([word + lines[0], *lines[1:]])


def _summary(found: list[Finding]) -> str:
    counts = {severity: sum(finding.severity is severity for finding in found) for severity in Severity}
    names = {Severity.OK: "ok", Severity.WARNING: "to change", Severity.ERROR: "to repair"}
    parts = [f"{count} {names[severity]}" for severity, count in counts.items() if count]
    checks = len({finding.check for finding in found})
    return f"{checks} {'check' if checks == 1 else 'checks'}: {', '.join(parts)}"
