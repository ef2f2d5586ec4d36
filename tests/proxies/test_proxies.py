"""Uploads, tickets, ranges, HEAD, caching and attacks through nginx and Caddy as docs/server.md configures them."""

import hashlib
import os
from urllib.parse import urljoin

import pytest

from tests.proxies.conftest import NAME, Proxy
from tests.running_server import processed
from tests.samples import encoded

pytestmark = pytest.mark.proxies

MEBIBYTE = 2**20


def padded(size: int, seed: int) -> bytes:
    """Build a JPEG of about `size` bytes: a small image, and comments that no decoder keeps."""
    content = encoded("JPEG", 32, 24, seed=seed)
    comment = b"\xff\xfe\xff\xff" + bytes(65533)
    count = max(0, (size - len(content)) // len(comment))
    return content[:2] + comment * count + content[2:]


@pytest.mark.parametrize("size", [1024, 40 * MEBIBYTE])
def test_an_upload_of(proxy: Proxy, size: int) -> None:
    content = padded(size, seed=size % 1000)
    with proxy.client() as client:
        sent = client.post("/upload", files={"file": ("photo.jpg", content, "image/jpeg")})
        assert sent.status_code == 201, sent.text
        record = processed(client, sent.json())
        assert urljoin(f"https://{NAME}/upload", sent.headers["location"]) == f"https://{NAME}/images/{record['id']}"
        assert (record["bytes"], record["status"]) == (len(content), "ready")
        assert all(variant["url"].startswith(f"https://{NAME}/files/") for variant in record["variants"])
        original = client.get(f"/images/{record['id']}/original")
        assert original.status_code == 307
        path = original.headers["location"].removeprefix(f"https://{NAME}")
        assert hashlib.sha256(client.get(path).content).hexdigest() == record["sha256"]
        assert client.delete(f"/images/{record['id']}").status_code == 204


def test_an_upload_in_chunks(proxy: Proxy) -> None:
    content = padded(3 * MEBIBYTE, seed=4)

    def pieces() -> object:
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    with proxy.client() as client:
        sent = client.post("/upload?filename=a.jpg", content=pieces(), headers={"Content-Type": "image/jpeg"})  # type: ignore[arg-type]
        assert (sent.status_code, sent.json()["bytes"]) == (201, len(content))


def test_an_upload_by_ticket(proxy: Proxy) -> None:
    content = padded(2 * MEBIBYTE, seed=5)
    with proxy.client() as client:
        wanted = {"content_type": "image/jpeg", "bytes": len(content), "filename": "a.jpg"}
        ticket = client.post("/upload/direct", json=wanted).json()
        assert ticket["url"].startswith(f"https://{NAME}/files/originals/")
        path = ticket["url"].removeprefix(f"https://{NAME}")
        assert client.put(path, content=content, headers=ticket["headers"]).status_code == 200
        assert processed(client, client.get(f"/images/{ticket['id']}").json())["status"] == "ready"


def test_uploads_that_are_too_large_get_darkrooms_own_refusal(proxy: Proxy) -> None:
    with proxy.client() as client:
        sent = client.post(
            "/upload?filename=a.jpg", content=padded(60 * MEBIBYTE, 6), headers={"Content-Type": "image/jpeg"}
        )
        assert (sent.status_code, sent.headers["content-type"]) == (413, "application/problem+json")


def test_variants_with_ranges_head_and_cache(proxy: Proxy) -> None:
    with proxy.client() as client:
        sent = client.post("/upload", files={"file": ("a.jpg", encoded("JPEG", 800, 600, seed=7))})
        record = processed(client, sent.json())
        variant = next(variant for variant in record["variants"] if variant["name"] == "w320")
        path = variant["url"].removeprefix(f"https://{NAME}")
        head = client.head(path)
        assert (head.status_code, int(head.headers["content-length"]), head.content) == (200, variant["bytes"], b"")
        whole = client.get(path)
        assert whole.headers["cache-control"] == "public, max-age=86400"
        part = client.get(path, headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        assert client.get(path, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
        if proxy.name == "nginx":
            assert client.get(path).headers["x-cache"] == "HIT"
            assert client.get(f"{path}?more=1").headers["x-cache"] == "HIT", "a query does not fill the cache"
            # The page's way to remove one variant: the file is named by the MD5 of the path.
            key = hashlib.md5(path.encode()).hexdigest()
            file = proxy.cache / key[-1] / key[-3:-1] / key
            assert file.exists()
            client.delete(f"/images/{record['id']}")
            assert client.get(path).status_code == 200, "it is cached, for a day at most"
            file.unlink()
            assert client.get(path).status_code == 404


def test_private_variants_are_not_cached_by_the_proxy(proxy: Proxy) -> None:
    with proxy.client() as client:
        form = {"file": ("a.jpg", encoded("JPEG", 800, 600, seed=11))}
        record = processed(client, client.post("/upload", files=form, data={"visibility": "private"}).json())
        path = record["variants"][0]["url"].removeprefix(f"https://{NAME}")
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"].startswith("private")
        assert client.get(path.partition("?")[0]).status_code == 403
        client.delete(f"/images/{record['id']}")
        assert client.get(path).status_code == 404


def test_records_are_never_cached(proxy: Proxy) -> None:
    with proxy.client() as client:
        record = client.post("/upload", files={"file": ("a.jpg", encoded(seed=8))}).json()
        assert client.get(f"/images/{record['id']}").status_code == 200
        client.delete(f"/images/{record['id']}")
        assert client.get(f"/images/{record['id']}").status_code == 404


def test_a_request_hidden_in_a_body_is_not_run(proxy: Proxy) -> None:
    with proxy.client() as client:
        record = client.post("/upload", files={"file": ("a.jpg", encoded(seed=9))}).json()
        hidden = f"DELETE /images/{record['id']} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
        # Answered after everything else, and closes the connection, so that nothing waits for the end.
        last = f"GET /healthz HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode()
        for upgrade in ("websocket", "h2c", "anything"):
            head = (
                f"POST /upload HTTP/1.1\r\nHost: {NAME}\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n"
                f"Content-Type: image/jpeg\r\nContent-Length: {len(hidden)}\r\n\r\n"
            )
            answer = proxy.send(head.encode() + hidden + last)
            assert b" 204 " not in answer
        assert client.get(f"/images/{record['id']}").status_code == 200


def test_a_head_without_end_is_refused(proxy: Proxy) -> None:
    answer = proxy.send(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n".encode() + b"a: b\r\n" * 500_000)
    assert answer == b"" or b" 400 " in answer or b" 431 " in answer
    with proxy.client() as client:
        assert client.get("/healthz").status_code == 200


def test_forwarded_headers_of_clients_count_for_nothing(proxy: Proxy) -> None:
    spoofed = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil", "Forwarded": "host=evil.example"}
    with proxy.client() as client:
        sent = client.post("/upload", files={"file": ("a.jpg", encoded(seed=os.getpid() % 997 + 50))}, headers=spoofed)
        assert sent.status_code == 201
        assert "evil" not in sent.text + str(sent.headers)
