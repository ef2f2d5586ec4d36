"""Landlock: an image's process reads the interpreter and its image, creates files in its folder, and nothing else.

It needs no privileges (https://docs.kernel.org/userspace-api/landlock.html, kernel 5.13). It does not restrict modes,
owners, times and links of files; `sandbox.seccomp` does. SECURITY.md says what is left where one of them is missing.
"""

import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import app
from app import linux

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_O_PATH: Final = getattr(os, "O_PATH", 0)

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_MAKE_REG: Final = 1 << 8
_TRUNCATE: Final = 1 << 14
#: Version of the interface from which `_TRUNCATE` is a right.
REFUSES_TRUNCATION: Final = 3
_READ: Final = _READ_FILE | _READ_DIR
#: No right to remove or rename: files that fill the disk stay visible to the parent.
_OWN: Final = _READ | _WRITE_FILE | _MAKE_REG | _TRUNCATE
#: Number of file rights in each version of the interface, from version 1 on.
_RIGHTS: Final = (13, 14, 15, 15, 16)
#: TCP (version 4); signals and abstract sockets of processes outside (version 6).
_TCP: Final = 0b11
_SCOPES: Final = 0b11


def confine(source: Path, out: Path) -> bool:
    """Restrict this process irrevocably to reading `source`, a file or the files of a folder, and creating files in
    `out`.

    Returns False if this system has no Landlock; raises `OSError` if it has and refuses.
    """
    abi = version()
    if abi < 1:
        return False
    known = (1 << _RIGHTS[min(abi, len(_RIGHTS)) - 1]) - 1
    rules = struct.pack("=QQQ", known, _TCP, _SCOPES)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = linux.syscall(_CREATE_RULESET, rules, len(rules), 0)
    if ruleset < 0:
        raise OSError(linux.last_error(), "landlock_create_ruleset failed")
    for path, rights in ((source, _READ_FILE), (out, _OWN), *((path, _READ) for path in _libraries())):
        _allow(ruleset, path, rights & known)
    linux.forbid_new_privileges()
    done = linux.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    code = linux.last_error()
    os.close(ruleset)
    if not done:
        raise OSError(code, "landlock_restrict_self failed")
    return True


def available() -> bool:
    """Return True if this system has Landlock."""
    return version() >= 1


def version() -> int:
    """Return the version of Landlock's interface, less than 1 if there is none."""
    return linux.syscall(_CREATE_RULESET, None, 0, 1) if sys.platform == "linux" else 0


def _libraries() -> Iterator[Path]:
    """Yield the folders of modules that may be loaded later, and this process's entries in /proc."""
    yield Path(os.__file__).parent
    yield Path(str(app.__file__)).parent
    for name in ("PIL", "pydantic"):  # all other packages are in the same folders
        if file := getattr(sys.modules.get(name), "__file__", None):
            yield Path(file).parents[1]
    yield from (Path("/usr"), Path("/lib"), Path("/lib64"), Path("/proc/self"))


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, _O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = struct.pack("=Qi", rights if path.is_dir() else rights & ~_READ_DIR, descriptor)
        linux.syscall(_ADD_RULE, ruleset, 1, rule, 0)
    finally:
        os.close(descriptor)
