"""System call filter of an image's process: memory, threads and files; no sockets, processes or attributes of files.

The filter is an allow list for x86_64 and aarch64. It is irrevocable and covers all threads. It is built here because
no maintained package offers one: the bindings on PyPI need libseccomp, which AWS's base image does not have.
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import errno
import os
import platform
import struct
import sys
from typing import Final, NamedTuple

from app import linux

#: Allowed with any arguments: number on x86_64, number on aarch64 (None: that architecture has no such call).
#: The most frequent ones come first, because the kernel compares one after the other.
CALLS: Final[dict[str, tuple[int, int | None]]] = {
    "futex": (202, 98),
    "lseek": (8, 62),
    "rt_sigprocmask": (14, 135),
    "brk": (12, 214),
    "read": (0, 63),
    "newfstatat": (262, 79),
    "write": (1, 64),
    "close": (3, 57),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "madvise": (28, 233),
    # threads
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "set_tid_address": (218, 96),
    "membarrier": (324, 283),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # signals to itself
    "rt_sigaction": (13, 134),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    # time
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    # files: Landlock decides which
    "readv": (19, 65),
    "pread64": (17, 67),
    "preadv": (295, 69),
    "writev": (20, 66),
    "pwrite64": (18, 68),
    "fstat": (5, 80),
    "stat": (4, None),
    "lstat": (6, None),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "dup": (32, 23),
    "ftruncate": (77, 46),
    "fadvise64": (221, 223),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    # facts about the process and the system
    "gettid": (186, 178),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "sysinfo": (99, 179),
    "uname": (63, 160),
}

_CLONE_THREAD: Final = 0x00010000
_CLONE_NEW: Final = 0x7E020000
_TMPFILE: Final = 0o20000000
_ANY_BIT: Final = 0xFFFFFFFF
#: F_DUPFD to F_SETFL, and F_DUPFD_CLOEXEC. F_SETOWN and F_SETSIG would signal other processes.
_FCNTL: Final = (0, 1, 2, 3, 4, 1030)
#: TCGETS, FIONCLEX, FIOCLEX.
_IOCTL: Final = (0x5401, 0x5450, 0x5451)
_PR_SET_NAME: Final = 15


class Check(NamedTuple):
    """Condition on one 32-bit word of the arguments (low half first): its masked value must be one of `values`."""

    word: int
    mask: int
    values: tuple[int, ...]


def checked_calls(pid: int) -> dict[str, tuple[int, int | None, tuple[Check, ...]]]:
    """Return the calls that are allowed with certain arguments only."""
    own = (Check(0, _ANY_BIT, (pid,)),)
    return {
        # A file without a name would take disk space that the parent does not see.
        "openat": (257, 56, (Check(4, _TMPFILE, (0,)),)),
        "open": (2, None, (Check(2, _TMPFILE, (0,)),)),
        "clone": (56, 220, (Check(0, _CLONE_THREAD | _CLONE_NEW, (_CLONE_THREAD,)),)),
        "fcntl": (72, 25, (Check(2, _ANY_BIT, _FCNTL),)),
        "ioctl": (16, 29, (Check(2, _ANY_BIT, _IOCTL),)),
        "prctl": (157, 167, (Check(0, _ANY_BIT, (_PR_SET_NAME,)),)),
        # Limits may be read, not set.
        "prlimit64": (302, 261, (Check(0, _ANY_BIT, (0,)), Check(4, _ANY_BIT, (0,)), Check(5, _ANY_BIT, (0,)))),
        "kill": (62, 129, own),
        "tgkill": (234, 131, own),
    }


class _Architecture(NamedTuple):
    audit: int
    seccomp: int
    column: int


_ARCHITECTURES: Final = {
    "x86_64": _Architecture(0xC000003E, 317, 0),
    "aarch64": _Architecture(0xC00000B7, 277, 1),
}
_CLONE3: Final = 435
#: The highest number of the table. A C library falls back when the kernel does not know a newer call.
_NEWEST: Final = 439

_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _AUDIT, _ARGUMENTS = 0, 4, 16

_SET_MODE_FILTER: Final = 1
_GET_ACTION_AVAIL: Final = 2
#: Without this flag, kernels before 5.16 disable speculative stores, which slows every decoder. The process holds data
#: of one image only.
_SPEC_ALLOW: Final = 1 << 2

Instruction = tuple[int, int, int, int]


def filter_program(machine: str, pid: int) -> list[Instruction]:
    """Build the filter for process `pid`, as instructions of classic BPF (code, jump if true, if false, operand)."""
    architecture = _ARCHITECTURES[machine]
    rules: list[Instruction] = [
        (_LOAD, 0, 0, _AUDIT),
        (_EQUAL, 1, 0, architecture.audit),
        (_RETURN, 0, 0, _KILL_PROCESS),  # another calling convention: numbers would mean other calls
        (_LOAD, 0, 0, _NUMBER),
    ]
    for numbers in CALLS.values():
        rules += _rule(numbers[architecture.column], ())
    for x86_64, aarch64, checks in checked_calls(pid).values():
        rules += _rule((x86_64, aarch64)[architecture.column], checks)
    return [
        *rules,
        (_EQUAL, 0, 1, _CLONE3),  # its flags lie in memory, where no filter can look; libc then uses clone
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_AT_LEAST, 0, 1, _NEWEST + 1),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]


def _rule(number: int | None, checks: tuple[Check, ...]) -> list[Instruction]:
    if number is None:
        return []
    body: list[Instruction] = []
    for check in checks:
        body += [(_LOAD, 0, 0, _ARGUMENTS + 4 * check.word), (_AND, 0, 0, check.mask)]
        body += [(_EQUAL, len(check.values) - at, 0, value) for at, value in enumerate(check.values)]
        body.append((_RETURN, 0, 0, _ERRNO | errno.EPERM))
    body.append((_RETURN, 0, 0, _ALLOW))
    return [(_EQUAL, 0, len(body), number), *body]


def available() -> bool:
    """Return True if this system can filter system calls and there is a table for its architecture."""
    architecture = _architecture()
    if architecture is None:
        return False
    return linux.syscall(architecture.seccomp, _GET_ACTION_AVAIL, 0, struct.pack("=I", _ERRNO)) == 0


def prepare() -> "Filter | None":
    """Build the filter of this process; None if this system cannot filter."""
    architecture = _architecture()
    if architecture is None:
        return None
    program = filter_program(platform.machine(), os.getpid())
    instructions = b"".join(struct.pack("=HBBI", *line) for line in program)
    return Filter(architecture.seccomp, instructions, struct.pack("@HP", len(program), linux.pointer(instructions)))


class Filter(NamedTuple):
    """Filter of system calls, ready to be installed. `described` has the address of the `instructions`."""

    number: int
    instructions: bytes
    described: bytes

    def install(self) -> bool:
        """Filter the system calls of this process irrevocably. The process must have given up new privileges.

        Returns False if this system cannot filter; raises `OSError` if it can and refuses.
        """
        for flags in (_SPEC_ALLOW, 0):
            if linux.syscall(self.number, _SET_MODE_FILTER, flags, self.described) == 0:
                return True
            code = linux.last_error()
            if code != errno.EINVAL:
                break
        # No such kernel, or a container forbids it.
        if code in {errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EACCES}:
            return False
        raise OSError(code, os.strerror(code))


def _architecture() -> _Architecture | None:
    if sys.platform != "linux" or struct.calcsize("P") != 8:
        return None
    return _ARCHITECTURES.get(platform.machine())
