"""Private parts of multiprocessing that the fork server uses: these tests fail when a new Python changes one."""

import os
import re
from multiprocessing import active_children, forkserver, get_context
from pathlib import Path

import pytest

from app.worker.sandbox import fork_server
from app.worker.sandbox.parent import Sandbox
from tests.repository.tree import ROOT, texts


def test_the_server_has_the_attributes_that_are_used(sandbox: Sandbox) -> None:
    server = fork_server._server()
    assert isinstance(server, forkserver.ForkServer)
    os.fstat(server._forkserver_alive_fd)
    os.kill(server._forkserver_pid, 0)
    assert fork_server.pid() == server._forkserver_pid
    assert fork_server._runs()


def test_each_new_process_calls_our_way_to_start_the_server(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a server that was killed is replaced by one that has the whole environment."""
    server = fork_server._server()
    assert server.ensure_running is fork_server._ensure_running
    calls = []
    monkeypatch.setattr(server, "ensure_running", lambda: calls.append(fork_server._ensure_running()))
    process = get_context("forkserver").Process(target=os.getpid, daemon=True)
    with fork_server.no_main_module():
        process.start()
    process.join(60)
    assert (process.exitcode, len(calls)) == (0, 1)
    process.close()


def test_the_start_of_a_process_does_not_poll_another_ones_exit(sandbox: Sandbox) -> None:
    """Two threads that wait for one exit code: the slower one would see a killed process."""
    process = get_context("forkserver").Process(target=os.getpid, daemon=True)
    with fork_server.no_main_module():
        fork_server.start_process(process)
    assert process not in active_children()
    process.join(60)
    assert process.exitcode == 0
    process.close()


def test_no_other_module_uses_them() -> None:
    private = re.compile(r"\b_forkserver(_\w+)?\b|multiprocessing[.\w]*\._")
    users = {name for name, text in texts().items() if name.endswith(".py") and private.search(text)}
    assert {name for name in users if not name.startswith("tests/")} == {"app/worker/sandbox/fork_server.py"}


def test_no_other_module_uses_ctypes() -> None:
    users = {name for name, text in texts().items() if re.search(r"^\s*(import|from) ctypes", text, re.MULTILINE)}
    assert {name for name in users if name.startswith("app/")} == {"app/linux.py"}
    assert Path(ROOT, "app/linux.py").exists()
