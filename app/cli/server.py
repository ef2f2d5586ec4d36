"""`darkroom serve` and `darkroom worker`: the processes of a server."""

import os
import sys
from typing import Annotated

import typer

from app.cli.failures import reports_failures
from app.settings import load


@reports_failures
def serve(
    *,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on, instead of DARKROOM_HOST.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on, instead of DARKROOM_PORT; 0: any free one.")
    ] = None,
) -> None:
    """Run the server until Ctrl-C, as `make run` does.

    Examples:

    darkroom serve

    darkroom serve --port 8080

    DARKROOM_STORAGE_URL=file:/srv/darkroom darkroom serve

    Self-hosted, it runs the worker process too. With s3:// it serves the API
    alone, as a Lambda function does.

    Exit codes: 0 stopped, 2 wrong usage or settings.
    """
    given = {"DARKROOM_HOST": host, "DARKROOM_PORT": None if port is None else str(port)}
    _become("app.main", {name: value for name, value in given.items() if value is not None})


@reports_failures
def worker() -> None:
    """Run only the worker process, for a server that was started without one. Self-hosted only.

    Examples:

    darkroom worker

    A second worker on the same data folder waits until the first one ends.

    Exit codes: 0 stopped, 2 wrong settings.
    """
    _become("app.embedded_worker", {})


def _become(module: str, settings: dict[str, str]) -> None:
    """Replace this process by an entry point, so that signals and standard input are its own.

    Raises `ConfigurationError` for settings that are wrong.
    """
    environment = {**os.environ, **settings}
    load(environment)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execve(sys.executable, [sys.executable, "-m", module], environment)  # noqa: S606 - no shell
