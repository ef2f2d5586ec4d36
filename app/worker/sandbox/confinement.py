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


class Confinement:
    """Restricts this process irrevocably, as far as the system can.

    From the start it can only read `source`, a file or the files of a folder, and create files in `out`. The process
    sets its limits before `complete`, which forbids that.
    """

    def __init__(self, source: Path, out: Path) -> None:
        """Confine files. Raises `OSError` if the system can and refuses."""
        self._is_protected = protects_source()
        linux.drop_capabilities()
        linux.forbid_new_privileges()
        self._is_confined = landlock.confine(source, out)
        self._filter = seccomp.prepare()

    def complete(self, *, source_is_shared: bool) -> None:
        """Confine system calls. Raises `OSError` if the system can and refuses, or if the source is shared and cannot
        be protected."""
        is_filtered = self._filter is not None and self._filter.install()
        if source_is_shared and not (self._is_protected and self._is_confined and is_filtered):
            raise OSError("original is writable")
