"""Escapes that hostile code tries inside an image's process. Run by name in sandboxed processes.

The number of a system call is that of x86_64 or aarch64; Python has no function for it.
"""

import ctypes
import errno
import json
import mmap
import multiprocessing
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.jobs import Job, Processed
from tests.worker import stubs

#: The file in the child's folder with the outcome of each attempt.
REPORT = "report.json"
#: The file next to the original that stands for the database.
DATABASE = "darkroom.db"
_REFUSED = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EXDEV}  # EXDEV: Landlock, for links and renames
_PTRACE_SEIZE, _F_SETOWN, _CLONE_NEWUSER, _IPC_PRIVATE = 0x4206, 8, 0x10000000, 0
_SET_PDEATHSIG, _SET_DUMPABLE = 1, 4


def try_all(source: Path, out: Path, job: Job) -> Processed:
    """Try every escape; report `refused`, `possible` or the error that the kernel gave for another reason."""
    return _try(attempts(source, out), out)


def attack_source(source: Path, out: Path, job: Job) -> Processed:
    """Try to change the image itself, as `try_all` does."""
    return _try(attacks(source, out), out)


def _try(attempts: dict[str, Callable[[], object]], out: Path) -> Processed:
    found = {}
    for name, attempt in attempts.items():
        try:
            attempt()
        except OSError as error:
            found[name] = "refused" if error.errno in _REFUSED else f"possible: {error.strerror}"
        except ValueError as error:  # what `setrlimit` makes of EPERM
            found[name] = "refused" if "not allowed" in str(error) else f"possible: {error}"
        else:
            found[name] = "possible"
    (out / REPORT).write_text(json.dumps(found))
    raise ImageError(FailureCode.NOT_AN_IMAGE, "all escapes were tried")


def attempts(source: Path, out: Path) -> dict[str, Callable[[], object]]:
    """Return what is tried, by name."""
    server = os.getppid()
    parent = multiprocessing.parent_process()
    worker = int(parent.pid or 0) if parent else 0
    listener = forkserver._forkserver._forkserver_address  # type: ignore[attr-defined]
    database = source.with_name(DATABASE)
    return {
        "tcp": lambda: _connect(socket.AF_INET, ("127.0.0.1", 9)),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
        "udp over ipv6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close(),
        "unix socket of the fork server": lambda: _connect(socket.AF_UNIX, listener, socket.SOCK_DGRAM),
        "abstract unix socket": lambda: socket.socket(socket.AF_UNIX).bind("\0darkroom"),
        "socket pair": socket.socketpair,
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close(),
        "raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close(),
        "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close(),
        "read": database.read_bytes,
        "list": lambda: list(source.parent.iterdir()),
        "read /etc": Path("/etc/passwd").read_bytes,
        "overwrite": lambda: database.write_bytes(b"overwritten"),
        "append": lambda: database.open("ab").close(),
        "overwrite the original": lambda: source.write_bytes(source.read_bytes()),
        "create": source.with_name("created").touch,
        "truncate": lambda: os.truncate(database, 1),
        "rename": lambda: (database.rename(out / "moved"), (out / "moved").rename(database)),
        "remove": lambda: (source.with_name("spare").unlink(),),
        "make a folder": source.with_name("folder").mkdir,
        "link": lambda: os.link(database, out / "link"),
        "symbolic link": lambda: (out / "symbolic").symlink_to(database),
        "pipe file": lambda: os.mkfifo(out / "fifo"),
        "change mode": lambda: database.chmod(0o666),
        "change mode by descriptor": lambda: _with(source, os.O_RDONLY, lambda file: os.fchmod(file, 0o666)),
        "change owner": lambda: os.chown(database, os.getuid(), os.getgid()),
        "change times": lambda: os.utime(database, (0, 0)),
        "set attribute": lambda: os.setxattr(source, "user.x", b"x"),
        "change root": lambda: os.chroot(out),
        "run": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        "fork": lambda: _forked(lambda: None),
        "spawn": lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
        "signal the worker": lambda: os.kill(worker, 0),
        "signal the fork server": lambda: os.kill(server, 0),
        "signal by descriptor": lambda: _with(source, os.O_RDONLY, lambda file: _own(file, server)),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, server, os.getpriority(os.PRIO_PROCESS, server)),
        "environment of the worker": Path(f"/proc/{worker}/environ").read_bytes,
        "environment of the fork server": Path(f"/proc/{server}/environ").read_bytes,
        "memory of the worker": lambda: Path(f"/proc/{worker}/mem").open("r+b").close(),
        "memory of the fork server": lambda: Path(f"/proc/{server}/mem").open("r+b").close(),
        "descriptors of the worker": Path(f"/proc/{worker}/fd/0").readlink,
        "trace the worker": lambda: _call("ptrace", _PTRACE_SEIZE, worker, 0, 0),
        "trace the fork server": lambda: _call("ptrace", _PTRACE_SEIZE, server, 0, 0),
        "read memory of the worker": lambda: _read_memory(worker),
        "io_uring": lambda: _call("io_uring_setup", 4, ctypes.create_string_buffer(120)),
        "user namespace": lambda: _call("unshare", _CLONE_NEWUSER),
        "bpf": lambda: _call("bpf", 0, ctypes.create_string_buffer(72), 72),
        "performance events": lambda: _call("perf_event_open", ctypes.create_string_buffer(112), 0, -1, -1, 0),
        "page faults": lambda: _call("userfaultfd", os.O_CLOEXEC),
        "keyring": lambda: _call("add_key", b"user", b"x", b"x", 1, -3),
        "open by handle": lambda: _call("open_by_handle_at", -100, ctypes.create_string_buffer(b"\x08", 16), 0),
        "mount": lambda: _call("mount", b"none", b"/tmp", b"tmpfs", 0, 0),
        "memory in a nameless file": lambda: os.close(os.memfd_create("x")),
        "shared memory": lambda: _call("shmget", _IPC_PRIVATE, 4096, 0o600),
        "nameless file": lambda: _with(out, os.O_TMPFILE | os.O_RDWR, lambda file: os.write(file, b"x")),
        "removed file": lambda: _removed(out / "removed"),
        "alarm": lambda: signal.setitimer(signal.ITIMER_REAL, 0),
        "limits": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, resource.getrlimit(resource.RLIMIT_FSIZE)),
        "limits of the worker": lambda: resource.prlimit(worker, resource.RLIMIT_NOFILE),
        "end with the parent": lambda: _call("prctl", _SET_PDEATHSIG, 0, 0, 0, 0),
        "hidden memory": lambda: _call("prctl", _SET_DUMPABLE, 1, 0, 0, 0),
    }


def attacks(source: Path, out: Path) -> dict[str, Callable[[], object]]:
    """Return what is tried to change the image, by name."""

    def reopen() -> None:
        with source.open("rb") as file:
            Path(f"/proc/self/fd/{file.fileno()}").open("r+b").close()

    def link_and_write() -> None:
        os.link(source, out / "linked")
        (out / "linked").write_bytes(b"overwritten")

    def rename_and_write() -> None:
        source.rename(out / "renamed")
        (out / "renamed").write_bytes(b"overwritten")

    return {
        "overwrite": lambda: source.write_bytes(b"overwritten"),
        "write a byte": lambda: _with(source, os.O_WRONLY, lambda file: os.write(file, b"x")),
        "append": lambda: _with(source, os.O_WRONLY | os.O_APPEND, lambda file: os.write(file, b"x")),
        "truncate": lambda: os.truncate(source, 1),
        "truncate while opening": lambda: _with(source, os.O_RDONLY | os.O_TRUNC, lambda _: None),
        "truncate while opening to write": lambda: _with(source, os.O_WRONLY | os.O_TRUNC, lambda _: None),
        "open again by descriptor": reopen,
        "write by a link": link_and_write,
        "write after a rename": rename_and_write,
        "remove": source.unlink,
        "change mode": lambda: source.chmod(0o777),
        "change mode by descriptor": lambda: _with(source, os.O_RDONLY, lambda file: os.fchmod(file, 0o777)),
        "change owner": lambda: os.chown(source, os.getuid(), os.getgid()),
        "change times": lambda: os.utime(source, (0, 0)),
        "set attribute": lambda: os.setxattr(source, "user.x", b"x"),
    }


def leave_descendants(source: Path, out: Path, job: Job) -> Processed:
    """Fork a process into this group and one into a session of its own; each writes its number into a file."""
    for name in ("group", "session"):
        try:
            child = os.fork()
        except OSError:
            continue
        if child == 0:
            if name == "session":
                os.setsid()
            (out / name).write_text(f"{os.getpid()}\n")
            os.closerange(3, 256)
            time.sleep(600)
            os._exit(0)
        while not (out / name).exists() or not (out / name).read_text().endswith("\n"):
            time.sleep(0.01)
    raise ImageError(FailureCode.NOT_AN_IMAGE, "descendants were tried")


def fill_in_pieces(source: Path, out: Path, job: Job) -> Processed:
    """Write 96 MiB in files of 8 MiB, then keep the parent busy with an endless answer."""
    piece = bytes(8 * 1024 * 1024)
    for number in range(12):
        (out / f"{number}").write_bytes(piece)
    return _answer_slowly()


def fill_with_names(source: Path, out: Path, job: Job) -> Processed:
    """Create 2,000 empty files, then keep the parent busy with an endless answer."""
    for number in range(2000):
        (out / f"{number}").touch()
    return _answer_slowly()


def call_as_32_bit(source: Path, out: Path, job: Job) -> Processed:
    """Ask for the process number by the convention of 32-bit programs, whose numbers mean other calls."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20; int 0x80; ret
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    raise ImageError(FailureCode.NOT_AN_IMAGE, "the call was answered")


def wait_and_tell(source: Path, out: Path, job: Job) -> Processed:
    """Wait for ever; a file holds the numbers of this process and of the fork server."""
    (out / "pids").write_text(f"{os.getpid()} {os.getppid()}\n")
    while True:
        time.sleep(60)


def tell_state(source: Path, out: Path, job: Job) -> Processed:
    """Report open descriptors, limits and the state that the kernel shows of this process."""
    names = ("NoNewPrivs", "Seccomp", "CapEff")
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    state = {name: lines[name].strip() for name in names if name in lines}
    state["descriptors"] = " ".join(str(os.fstat(number).st_mode >> 12) for number in range(256) if _is_open(number))
    state["processes"] = str(resource.getrlimit(resource.RLIMIT_NPROC)[0])
    (out / REPORT).write_text(json.dumps(state))
    raise ImageError(FailureCode.NOT_AN_IMAGE, "told")


def _answer_slowly() -> Processed:
    for _ in range(3000):
        stubs.write_answer(b" ")
        time.sleep(0.01)
    raise ImageError(FailureCode.NOT_AN_IMAGE, "nobody has stopped this")


_NUMBERS = {
    "ptrace": (101, 117),
    "io_uring_setup": (425, 425),
    "unshare": (272, 97),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "open_by_handle_at": (304, 265),
    "mount": (165, 40),
    "shmget": (29, 194),
    "prctl": (157, 167),
    "process_vm_readv": (310, 270),
}


def _call(name: str, *arguments: "int | bytes | ctypes.Array[ctypes.c_char] | ctypes.Structure") -> int:
    number = _NUMBERS[name][platform.machine() == "aarch64"]
    library = ctypes.CDLL(None, use_errno=True)
    given = (ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments)
    result = int(library.syscall(ctypes.c_long(number), *given))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {errno.errorcode[ctypes.get_errno()]}")
    return result


def _connect(family: int, address: object, kind: int = socket.SOCK_STREAM) -> None:
    with socket.socket(family, kind) as made:
        made.connect(address)  # type: ignore[arg-type]


def _with(path: Path, flags: int, act: Callable[[int], object]) -> None:
    descriptor = os.open(path, flags, 0o600)
    try:
        act(descriptor)
    finally:
        os.close(descriptor)


def _own(descriptor: int, process: int) -> None:
    import fcntl

    fcntl.fcntl(descriptor, _F_SETOWN, process)


def _removed(path: Path) -> None:
    path.touch()
    path.unlink()


def _forked(act: Callable[[], object]) -> None:
    child = os.fork()
    if child == 0:
        act()
        os._exit(0)
    os.waitpid(child, 0)


def _read_memory(process: int) -> None:
    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    into = ctypes.create_string_buffer(8)
    local = Vector(ctypes.addressof(into), 8)
    remote = Vector(ctypes.addressof(ctypes.create_string_buffer(8)), 8)
    _call("process_vm_readv", process, _pointer(local), 1, _pointer(remote), 1, 0)


def _pointer(vector: ctypes.Structure) -> int:
    return ctypes.addressof(vector)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
