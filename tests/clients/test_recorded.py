"""Recorded requests of Java, .NET, Go, PHP and Ruby clients, sent again over a socket.

Each file in `recorded/` holds the bytes that a program in `senders/` sent on 2026-11-28 for an image named
`Fête – 日本.png`. Recorded with OpenJDK 17.0.15 (java.net.http), Apache HttpClient 4.5.14,
Spring 4.3.30 (RestTemplate), .NET Core 3.1.23, Go 1.19.8, PHP 8.2 (curl, and
Guzzle 7.4.5), Ruby 3.1.2 (Net::HTTP, rest-client 2.1.0, Faraday 1.1.0).
"""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running_server import Server, serving

RECORDED = Path(__file__).parent / "recorded"
NAME = "Fête – 日本.png"
#: Java programs encode file names in US-ASCII or ISO-8859-1 by default, and send `?` for other characters.
LOST = "F?te ? ??.png"
TAGS = ["sea", "evening"]

#: Name of the recording: file name and tags that the record must have. The title is always the same.
EXPECTED: dict[str, tuple[str, list[str]]] = {
    "jdk-httpclient": (NAME, []),
    "apache-httpclient": (LOST, []),
    "apache-httpclient-rfc6532": (NAME, []),
    "spring-resttemplate": (LOST, TAGS),
    "spring-resttemplate-utf8": (NAME, TAGS),
    "dotnet": (NAME, TAGS),
    "go": (NAME, TAGS),
    "php-curl": (NAME, TAGS),
    "php-guzzle": (NAME, TAGS),
    "ruby-net-http": (NAME, TAGS),
    "ruby-rest-client": (NAME, TAGS),
    "ruby-faraday": (NAME, TAGS),
}
#: A text part in ISO-8859-1 without a declared charset: a guess could store wrong letters.
REFUSED = {"apache-httpclient-browser": (400, "not_utf8")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("recorded") / "data") as running:
        yield running


def replay(server: Server, name: str) -> tuple[int, Any]:
    """Send the recording and read the response to its end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall((RECORDED / f"{name}.http").read_bytes())
        answer = connection.makefile("rb")
        status = int(answer.readline().split()[1])
        length = 0
        while (line := answer.readline().strip()) != b"":
            header, _, value = line.partition(b":")
            if header.lower() == b"content-length":
                length = int(value)
        return status, json.loads(answer.read(length))


def test_each_recording_has_its_expectation() -> None:
    assert {path.stem for path in RECORDED.iterdir()} == {*EXPECTED, *REFUSED}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_upload_is_stored(server: Server, name: str) -> None:
    status, record = replay(server, name)
    try:
        filename, tags = EXPECTED[name]
        assert status == 201, record
        assert (record["filename"], record["title"], record["tags"]) == (filename, "Crème", tags)
        assert (record["content_type"], record["bytes"]) == ("image/png", 96)
    finally:
        for image in server.client.get("/images").json()["items"]:
            server.client.delete(f"/images/{image['id']}")


@pytest.mark.parametrize("name", REFUSED)
def test_a_recorded_upload_is_refused(server: Server, name: str) -> None:
    status, problem = replay(server, name)
    assert (status, problem["code"]) == REFUSED[name]
    assert problem["field"] == "title"
    assert server.client.get("/images").json()["items"] == []
