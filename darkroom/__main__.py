"""Entry point of the `darkroom` command, which is also `python -m darkroom`."""

import sys


def main() -> None:
    """Run the command. Without the packages of the extra `cli`, end with one sentence."""
    try:
        from darkroom.cli.command import main as run  # noqa: PLC0415 - the packages may be missing

        run()
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.exit("The darkroom command needs typer and rich: install darkroom[cli] instead of darkroom.")


if __name__ == "__main__":
    main()
