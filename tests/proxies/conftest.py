"""nginx and Caddy with the server blocks of docs/server.md, before a Darkroom, on free ports of the loopback."""

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.repository.tree import ROOT
from tests.running_server import START_SECONDS, Server, free_port, serving, wait_for

PAGE = (ROOT / "docs" / "server.md").read_text()
NAME = "img.example.org"
UPSTREAM = "127.0.0.1:8000"


def block(language: str, first_line: str) -> str:
    """Return the block of the page that begins with this line."""
    (found,) = re.findall(rf"^```{language}\n({re.escape(first_line)}\n.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


@dataclass
class Proxy:
    """A running proxy, and the server behind it."""

    name: str
    port: int
    certificate: Path
    server: Server
    cache: Path

    def client(self) -> httpx.Client:
        """Build a client that reaches the proxy under the server's name."""
        trust = ssl.create_default_context(cafile=str(self.certificate))
        address = f"https://127.0.0.1:{self.port}"
        return httpx.Client(base_url=address, verify=trust, timeout=60, headers={"Host": NAME})

    def send(self, content: bytes) -> bytes:
        """Send bytes over TLS; return everything that comes back until the connection ends."""
        trust = ssl.create_default_context(cafile=str(self.certificate))
        trust.check_hostname = False
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain,
            trust.wrap_socket(plain, server_hostname=NAME) as connection,
        ):
            received = b""
            try:
                connection.sendall(content)
                while piece := connection.recv(65536):
                    received += piece
            except (TimeoutError, ConnectionError, ssl.SSLError):
                pass
            return received


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for the name and the loopback, and its key."""
    pair = folder / "name.crt", folder / "name.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext",
         f"subjectAltName=DNS:{NAME},IP:127.0.0.1", "-out", pair[0], "-keyout", pair[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return pair


def nginx(folder: Path, port: int, upstream: str, pair: tuple[Path, Path]) -> list[str]:
    """Write nginx's configuration; return its command."""
    text = block("nginx", "# /etc/nginx/conf.d/darkroom.conf")
    for old, new in (
        (UPSTREAM, upstream),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("/var/cache/nginx/darkroom", f"{folder}/cache"),
        (f"/etc/letsencrypt/live/{NAME}/fullchain.pem", str(pair[0])),
        (f"/etc/letsencrypt/live/{NAME}/privkey.pem", str(pair[1])),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    text = text.replace("    listen [::]:443 ssl http2;\n", "")
    return nginx_with(folder, text)


def nginx_with(folder: Path, text: str) -> list[str]:
    """Write a configuration of nginx around the blocks of `http`; return nginx's command."""
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"{user}\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/error.log;\ndaemon off;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}\n{text}\n}}\n"
    )
    return ["nginx", "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]


def caddy(folder: Path, port: int, upstream: str, pair: tuple[Path, Path]) -> list[str]:
    """Write Caddy's configuration; return its command."""
    text = block("caddyfile", "# /etc/caddy/Caddyfile")
    assert UPSTREAM in text
    site = f"{NAME}:{port}, 127.0.0.1:{port} {{\n    bind 127.0.0.1\n    tls {pair[0]} {pair[1]}"
    text = text.replace(UPSTREAM, upstream).replace(f"{NAME} {{", site)
    return caddy_with(folder, text)


def caddy_with(folder: Path, text: str) -> list[str]:
    """Write a configuration of Caddy with these sites; return Caddy's command."""
    (folder / "Caddyfile").write_text("{\n    admin off\n    auto_https off\n}\n" + text)
    return ["caddy", "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]


PROXIES: dict[str, Callable[[Path, int, str, tuple[Path, Path]], list[str]]] = {"nginx": nginx, "caddy": caddy}


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxied(request.param, tmp_path_factory.mktemp(request.param)) as running_proxy:
        yield running_proxy


@contextmanager
def proxied(name: str, folder: Path, **settings: str) -> Iterator[Proxy]:
    """Run a server with these settings, and the proxy of this name before it."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: see `make test-proxies`")
    pair, port = certificate(folder), free_port()
    settings = {"DARKROOM_PUBLIC_URL": f"https://{NAME}", "DARKROOM_TRUSTED_PROXIES": "127.0.0.1", **settings}
    with serving(folder / "data", **settings) as server:
        command = PROXIES[name](folder, port, f"127.0.0.1:{server.port}", pair)
        proxy = Proxy(name, port, pair[0], server, folder / "cache")

        def answers() -> bool:
            with proxy.client() as client:
                return client.get("/healthz").status_code == 200

        with running(command, folder, answers):
            yield proxy


@contextmanager
def running(command: list[str], folder: Path, answers: Callable[[], bool]) -> Iterator[None]:
    """Run a proxy for the length of a block, which begins when it answers."""
    log = folder / "proxy.log"
    home = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **home}
        )

    def is_up() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return answers()
        except httpx.TransportError:
            return False

    try:
        wait_for(is_up, START_SECONDS, log.read_text)
        yield
    finally:
        process.terminate()
        process.wait(60)
