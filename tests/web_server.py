"""Servers on loopback for tests of requests to urls: TLS, with a certificate authority of their own."""

import contextlib
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: An address of the internet, which tests connect to the server on loopback.
PUBLIC = IPv4Address("8.8.8.8")

Reply = Callable[[socket.socket], None]


@dataclass
class WebServer:
    """Answers each connection with `reply`, once it has sent the head of a request. `requests` are what it received.

    `names` are the names that clients asked for in TLS.
    """

    reply: Reply
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)

    def connect(self, _: IPv4Address | IPv6Address, __: int, seconds: float) -> socket.socket:
        """Connect to this server instead of an address."""
        return socket.create_connection(("127.0.0.1", self.port), seconds)


@contextlib.contextmanager
def web_server(reply: Reply, *, names: tuple[str, ...] | None = ("img.example",)) -> Iterator[WebServer]:
    """Run a server whose certificate is for these names; without names it speaks plain HTTP."""
    server = WebServer(reply)
    context = None if names is None else _server_context(names)
    if context is not None:
        context.sni_callback = lambda _, name, __: server.names.append(name)
    ended = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        listener.settimeout(0.05)

        def accept() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    threads.append(threading.Thread(target=serve, args=(connection,)))
                    threads[-1].start()

        def serve(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                connection.settimeout(60)
                if context is None:
                    _answer(server, connection)
                else:
                    with context.wrap_socket(connection, server_side=True) as wrapped:
                        _answer(server, wrapped)

        threads.append(threading.Thread(target=accept))
        threads[0].start()
        try:
            yield server
        finally:
            ended.set()
            for thread in threads:
                thread.join(90)


def _answer(server: WebServer, connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received and not received.startswith(b"\x16"):  # as servers without TLS answer its start
        piece = connection.recv(65536)
        if not piece:
            return
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return
        body += piece
    server.requests.append(head + b"\r\n\r\n" + body)
    server.reply(connection)


def answer(status: str = "200 OK", body: bytes = b"", **headers: str) -> Reply:
    """Build a reply with a `Content-Length`. An underscore in the name of a header is a hyphen."""
    sent = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    message = f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1") + body
    return lambda connection: connection.sendall(message)


def replies(*each: Reply) -> Reply:
    """Build a reply that answers the first request with the first of these, and so on. The last one repeats."""
    left = list(each)
    lock = threading.Lock()

    def reply(connection: socket.socket) -> None:
        with lock:
            now = left.pop(0) if len(left) > 1 else left[0]
        now(connection)

    return reply


def client_context() -> ssl.SSLContext:
    """Return a context that trusts the authority of these servers only."""
    return ssl.create_default_context(cadata=_authority()[1].public_bytes(serialization.Encoding.PEM).decode())


@cache
def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    return key, _sign(name, key, x509.BasicConstraints(ca=True, path_length=None), critical=True)


def _sign(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType, *, critical: bool
) -> x509.Certificate:
    """Build a certificate: of the authority by itself, of any other name by the authority."""
    is_authority = isinstance(extension, x509.BasicConstraints)
    issuer, signer = (name, key) if is_authority else (_authority()[1].subject, _authority()[0])
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(extension, critical=critical)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=is_authority, crl_sign=is_authority, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )  # fmt: skip


@cache
def _certificate(names: tuple[str, ...]) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    certificate = _sign(name, key, alternatives, critical=False).public_bytes(serialization.Encoding.PEM)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate, key.private_bytes(*form)


def _server_context(names: tuple[str, ...]) -> ssl.SSLContext:
    certificate, key = _certificate(names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        file.write_bytes(certificate + key)
        context.load_cert_chain(file)
    return context
