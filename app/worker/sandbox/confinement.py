"""Confinement of an image's process by Landlock and seccomp, as far as the system has them."""

from pathlib import Path

from app import linux
from app.worker.sandbox import landlock, seccomp


def protects_source() -> bool:
    """Return True if a confined process cannot change the file that it reads.

    Landlock refuses to write it, and to truncate it from version 3 on; seccomp refuses to change its mode, owner, times
    and attributes.
    """
    return landlock.version() >= landlock.REFUSES_TRUNCATION and seccomp.available()


def confine(source: Path, out: Path, *, source_is_shared: bool) -> None:
    """Restrict this process irrevocably, as far as the system can, to reading `source` and creating files in `out`.

    Raises `OSError` if the system can and refuses, or if `source` is shared and cannot be protected.
    """
    is_protected = protects_source()  # asked before the filter refuses the question
    linux.drop_capabilities()
    linux.forbid_new_privileges()
    is_confined = landlock.confine(source, out)
    is_filtered = seccomp.install()
    if source_is_shared and not (is_protected and is_confined and is_filtered):
        raise OSError("original is writable")
