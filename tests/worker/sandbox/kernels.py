"""Systems that lack Landlock, seccomp or the parent-death signal, made by a filter around a whole program."""

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable

_NO_NEW_PRIVS, _SECCOMP, _PDEATHSIG, _FILTER = 38, 22, 1, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _NO_SUCH_CALL = 0x7FFF0000, 0x00050000 | errno.ENOSYS
_X86_64 = platform.machine() == "x86_64"
_PRCTL = 157 if _X86_64 else 167

#: System calls to refuse for each feature: a number, and the first argument if only that is refused.
_CALLS: dict[str, tuple[tuple[int, int | None], ...]] = {
    "landlock": ((444, None), (445, None), (446, None)),
    "seccomp": ((317 if _X86_64 else 277, None), (_PRCTL, _SECCOMP)),
    "parent-death signal": ((_PRCTL, _PDEATHSIG),),
}


def take_away(features: Iterable[str]) -> None:
    """Take the features from this process and from all that it starts."""
    program = [(_LOAD, 0, 0, 0)]
    for feature in features:
        for number, argument in _CALLS[feature]:
            body = [(_RETURN, 0, 0, _NO_SUCH_CALL)]
            if argument is not None:
                body = [(_LOAD, 0, 0, 16), (_EQUAL, 0, 1, argument), *body, (_LOAD, 0, 0, 0)]
            program += [(_EQUAL, 0, len(body), number), *body]
    program.append((_RETURN, 0, 0, _ALLOW))
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    described = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(instructions)))
    library = ctypes.CDLL(None, use_errno=True)
    assert library.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert library.prctl(_SECCOMP, _FILTER, described, 0, 0) == 0
