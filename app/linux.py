"""Linux calls that the standard library does not expose: prctl(2), capset(2) and syscall(2).

This is the only module that uses ctypes. On other systems `syscall` must not be called; the other functions do nothing
and return False.
"""

import ctypes
import signal
import struct
import sys
from typing import Any, Final

_SET_PDEATHSIG: Final = 1
_SET_DUMPABLE: Final = 4
_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITY_VERSION_3: Final = 0x20080522
#: CAP_DAC_OVERRIDE: root may run the service from folders that belong to other users.
_KEPT_CAPABILITIES: Final = 1 << 1


def hide() -> bool:
    """Keep other processes of this user out of this process's memory, environment and open files (`/proc/<pid>`).

    The kernel then refuses core dumps and debuggers too. The attribute is inherited by forks and lost at an exec.
    """
    return _prctl(_SET_DUMPABLE, 0)


def end_with_parent() -> bool:
    """Have the kernel kill this process when its parent ends."""
    return _prctl(_SET_PDEATHSIG, signal.SIGKILL)


def forbid_new_privileges() -> bool:
    """Let no exec grant privileges; Landlock and seccomp require it."""
    return _prctl(_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> bool:
    """Give up root's capabilities, except the one that ignores file permissions; Landlock restricts that one."""
    if sys.platform != "linux":
        return False
    library = _library()
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    held = ctypes.create_string_buffer(24)
    if library.capget(header, held) != 0:
        return False
    effective, permitted, *_ = struct.unpack("=6I", held.raw[:24])
    kept = struct.pack("=6I", effective & _KEPT_CAPABILITIES, permitted & _KEPT_CAPABILITIES, 0, 0, 0, 0)
    return bool(library.capset(header, ctypes.create_string_buffer(kept)) == 0)


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Call the kernel by the number of a system call; -1 is an error, see `last_error`. It only reads the bytes."""
    return int(_library().syscall(ctypes.c_long(number), *(_word(argument) for argument in arguments)))


def last_error() -> int:
    """Return the `errno` of this thread's last failed call."""
    return ctypes.get_errno()


def pointer(data: bytes) -> int:
    """Return the address of these bytes, valid as long as the caller holds them."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


def _word(argument: int | bytes | None) -> Any:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    zero = ctypes.c_ulong(0)
    return bool(_library().prctl(option, ctypes.c_ulong(value), zero, zero, zero) == 0)


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
