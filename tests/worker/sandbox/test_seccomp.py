"""The system call filter, run by an interpreter of its instructions, for both architectures on either.

Names of calls come from libseccomp, which knows the numbers of every architecture.
"""

import ctypes
import ctypes.util
import errno
from collections.abc import Sequence
from typing import Any

import pytest

from app.worker.sandbox.seccomp import CALLS, Instruction, checked_calls, filter_program

PID = 4711
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL = "allow", "kill"
#: Names that libseccomp has for what the table calls by its usual name.
SAME = {"newfstatat": "fstatat"}


def verdict(machine: str, call: str | int, *arguments: int, audit: int | None = None) -> str:
    """Return the reaction of the kernel to a call: `allow`, `kill` or the name of the error."""
    number = call if isinstance(call, int) else numbers(machine)[call]
    audit = MACHINES[machine] if audit is None else audit
    return interpret(filter_program(machine, PID), number, audit, [*arguments, *[0] * 6][:6])


def interpret(program: Sequence[Instruction], number: int, audit: int, arguments: Sequence[int]) -> str:
    words = [number, audit, 0, 0]
    for argument in arguments:
        words += [argument & 0xFFFFFFFF, argument >> 32 & 0xFFFFFFFF]
    accumulator = at = 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        if code == 0x20:
            accumulator = words[operand // 4]
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x15:
            at += if_true if accumulator == operand else if_false
        elif code == 0x35:
            at += if_true if accumulator >= operand else if_false
        else:
            assert code == 0x06
            known = {0x7FFF0000: ALLOW, 0x80000000: KILL}
            return known.get(operand) or errno.errorcode[operand & 0xFFFF]


def numbers(machine: str) -> dict[str, int]:
    column = list(MACHINES).index(machine)
    known = {name: entry[column] for name, entry in {**CALLS, **checked_calls(PID)}.items()}
    return {name: number for name, number in known.items() if number is not None}  # type: ignore[misc]


@pytest.fixture(scope="module")
def libseccomp() -> Any:
    name = ctypes.util.find_library("seccomp")
    if name is None:
        pytest.skip("libseccomp is not installed; it comes with Debian's apt")
    library = ctypes.CDLL(name)
    library.seccomp_syscall_resolve_num_arch.restype = ctypes.c_char_p
    return library


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_the_names(machine: str, libseccomp: Any) -> None:
    """Numbers of one architecture are other calls on the other: nothing else would notice a wrong one."""
    for name, number in numbers(machine).items():
        found = libseccomp.seccomp_syscall_resolve_num_arch(MACHINES[machine], number)
        assert found is not None, (name, number)
        assert found.decode() in {name, SAME.get(name)}, number


@pytest.mark.parametrize("machine", MACHINES)
def test_every_call_that_is_not_listed_is_refused(machine: str) -> None:
    always = {number for name, number in numbers(machine).items() if name in CALLS}
    allowed = {number for number in range(1024) if verdict(machine, number) == ALLOW}
    # With zeros for arguments some of the checked calls are harmless.
    assert allowed - always <= {numbers(machine)[name] for name in checked_calls(PID) if name in numbers(machine)}
    assert always <= allowed


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_newer_than_the_table_do_not_exist_and_others_are_not_permitted(machine: str) -> None:
    assert verdict(machine, 435) == "ENOSYS"  # clone3: libc then uses clone
    assert verdict(machine, 426) == "EPERM"  # io_uring_enter
    assert verdict(machine, 451) == "ENOSYS"
    assert verdict(machine, 0x40000000 + 59) == "ENOSYS"  # execve for x32 programs


@pytest.mark.parametrize("machine", MACHINES)
def test_another_architectures_numbers_end_the_process(machine: str) -> None:
    others = [0x40000003, 0x40000028, *(audit for name, audit in MACHINES.items() if name != machine)]
    assert {verdict(machine, "read", audit=other) for other in others} == {KILL}


THREAD = 0x3D0F00  # what glibc asks for
CHECKED = [
    ("clone", (THREAD,), ALLOW),
    ("clone", (0x7D0F00,), ALLOW),  # musl
    ("clone", (0x01200011,), "EPERM"),  # fork
    ("clone", (0x4111,), "EPERM"),  # vfork
    ("clone", (THREAD | 0x20000000,), "EPERM"),  # a new namespace
    ("openat", (-100, 0, 0o2000000), ALLOW),
    ("openat", (-100, 0, 0o301), ALLOW),
    ("openat", (-100, 0, 0o20200002), "EPERM"),  # O_TMPFILE
    ("fcntl", (3, 1030), ALLOW),
    ("fcntl", (3, 8, PID + 1), "EPERM"),  # F_SETOWN
    ("fcntl", (3, 10, 9), "EPERM"),  # F_SETSIG
    ("fcntl", (3, 1031), "EPERM"),  # F_SETPIPE_SZ
    ("ioctl", (3, 0x5401), ALLOW),
    ("ioctl", (3, 0x5412), "EPERM"),  # TIOCSTI
    ("prctl", (15,), ALLOW),
    ("prctl", (1, 0), "EPERM"),
    ("prctl", (4, 1), "EPERM"),
    ("prctl", (22, 2), "EPERM"),
    ("prlimit64", (0, 9, 0), ALLOW),
    ("prlimit64", (0, 9, 0x7F0000001000), "EPERM"),
    ("prlimit64", (0, 9, 0x7F0000000000), "EPERM"),  # a pointer whose lower half is zero
    ("prlimit64", (1, 9, 0), "EPERM"),
    ("kill", (PID, 9), ALLOW),
    ("kill", (PID + 1, 0), "EPERM"),
    ("kill", (0, 9), "EPERM"),
    ("kill", (-1, 9), "EPERM"),
    ("tgkill", (PID, PID, 6), ALLOW),
    ("tgkill", (1, 1, 6), "EPERM"),
]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("name", "arguments", "wanted"), CHECKED)
def test_arguments_decide(machine: str, name: str, arguments: tuple[int, ...], wanted: str) -> None:
    assert verdict(machine, name, *arguments) == wanted


def test_open_takes_no_nameless_file() -> None:
    assert verdict("x86_64", "open", 0, 0o101) == ALLOW
    assert verdict("x86_64", "open", 0, 0o20200002) == "EPERM"


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_is_one_that_the_kernel_accepts(machine: str) -> None:
    """Jumps stay inside the program and are short; it ends with a return."""
    program = filter_program(machine, PID)
    assert len(program) < 4096
    for at, (code, if_true, if_false, _) in enumerate(program):
        assert 0 <= if_true < 256
        assert 0 <= if_false < 256
        if code in {0x15, 0x35}:
            assert at + 1 + max(if_true, if_false) < len(program)
    assert program[-1][0] == 0x06
