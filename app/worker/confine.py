"""What a picture's process may still do: read the interpreter and the picture, write into its folder, and no more.

Linux's Landlock does it without privileges (https://docs.kernel.org/userspace-api/landlock.html, kernel 5.13). Where a
kernel has none, as AWS Lambda's or macOS's, the bounds on time, memory and file size are all there is.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import app

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_SET_NO_NEW_PRIVS: Final = 38
_O_PATH: Final = getattr(os, "O_PATH", 0)

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_TRUNCATE: Final = 1 << 14
_READ: Final = _READ_FILE | _READ_DIR
_OWN: Final = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
#: How many rights over files each version of the interface knows, from the first on.
_RIGHTS: Final = (13, 14, 15, 15, 16)
#: TCP (version 4); signals and abstract sockets of processes outside (version 6).
_TCP: Final = 0b11
_SCOPES: Final = 0b11


def confine(source: Path, out: Path) -> bool:
    """Bind this process, for good, to reading `source` and writing beneath `out`; False if this system cannot."""
    version = _version()
    if version < 1:
        return False
    known = (1 << _RIGHTS[min(version, len(_RIGHTS)) - 1]) - 1
    rules = struct.pack("=QQQ", known, _TCP, _SCOPES)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _call(_CREATE_RULESET, rules, len(rules), 0)
    if ruleset < 0:
        return False
    for path, rights in ((source, _READ), (out, _OWN), *((path, _READ) for path in _libraries())):
        _allow(ruleset, path, rights & known)
    ctypes.CDLL(None).prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done = _call(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return done


def available() -> bool:
    """Whether this system can confine a process."""
    return _version() >= 1


def _version() -> int:
    return _call(_CREATE_RULESET, None, 0, 1) if sys.platform == "linux" else 0


def _libraries() -> Iterator[Path]:
    """Where modules may still be loaded from, the first time that something needs them, and what is ours in /proc."""
    yield Path(os.__file__).parent
    yield Path(str(app.__file__)).parent
    for name in ("PIL", "pydantic"):  # beside which all other packages are
        if file := getattr(sys.modules.get(name), "__file__", None):
            yield Path(file).parents[1]
    yield from (Path("/usr"), Path("/lib"), Path("/lib64"), Path("/proc/self"))


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, _O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        _call(
            _ADD_RULE, ruleset, 1, struct.pack("=Qi", rights if path.is_dir() else rights & ~_READ_DIR, descriptor), 0
        )
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: int | bytes | None) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    return int(library.syscall(number, *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)))
