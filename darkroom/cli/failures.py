"""The end of a command by an error: three lines, and an exit code."""

from darkroom.cli.console import NOT_ALLOWED, NOT_DONE, UNREACHABLE, is_other_server, print_error
from darkroom.errors import DarkroomError, FileError, NotAllowed, ServerError, Unreachable


def exit_code(error: DarkroomError) -> int:
    """Return the exit code of a command that this error ended."""
    if isinstance(error, Unreachable) or error.is_temporary or is_other_server(error):
        return UNREACHABLE
    return NOT_ALLOWED if isinstance(error, NotAllowed) else NOT_DONE


def print_failure(error: DarkroomError, address: str) -> int:
    """Print what failed, its cause and what to try. Return the exit code."""
    what, cause = f"{address} refuses the request", str(error)
    remedy = "correct what the cause names" if error.code else "check DARKROOM_URL and the log of the server"
    if isinstance(error, Unreachable):
        what, cause, remedy = f"cannot reach {error.address}", error.cause, "darkroom serve, or set DARKROOM_URL"
    elif is_other_server(error):
        what, remedy = f"cannot use {address}", "set DARKROOM_URL to the address of a Darkroom server"
    elif isinstance(error, NotAllowed):
        what, remedy = f"{address} does not allow this", "set DARKROOM_API_KEY to a key that may do it"
    elif isinstance(error, FileError):
        what, remedy = "cannot use a local file", "choose another file or folder"
    elif error.status == 507:
        what, remedy = f"{address} is full", "delete images, or ask its operator for space"
    elif isinstance(error, ServerError):
        what, remedy = f"{address} cannot answer now", "run the command again later"
    elif error.status == 404:
        what, remedy = "no such image", "look it up with darkroom list"
    print_error(what, cause, remedy)
    return exit_code(error)
