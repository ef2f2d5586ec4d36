"""A large image by upload ticket on AWS: directly to the bucket, then through the worker."""

import hashlib
import re
from pathlib import Path

import httpx
import pytest

from app.domain.images.notifications import object_created
from darkroom.cli.direct import DarkroomClient
from darkroom.cli.image_file import ImageFile
from tests.on_aws.test_photograph import Deployed, deployed  # noqa: F401 - a fixture
from tests.self_hosted.test_direct_upload import MEGABYTE, noise


class Ways(httpx.BaseTransport):
    """The API through its entry point, everything else through the network."""

    def __init__(self, api: httpx.Client, network: httpx.BaseTransport) -> None:
        self._api = api
        self._network = network

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "img.example.org":
            request.read()
            return self._api.send(request)
        return self._network.handle_request(request)


@pytest.mark.engines
@pytest.mark.parametrize("deployed", [pytest.param("engines", marks=pytest.mark.engines)], indirect=True)
def test_forty_megabytes_go_in_by_ticket_with_flat_memory(deployed: Deployed, tmp_path: Path) -> None:  # noqa: F811
    path = tmp_path / "large.png"
    path.write_bytes(noise(3700, 3650))
    picture = ImageFile.read(path)
    assert 40 * MEGABYTE < picture.bytes < 42 * MEGABYTE
    peak_mb()
    before = peak_mb()  # what it holds now
    with (
        httpx.HTTPTransport() as network,
        DarkroomClient("https://img.example.org", transport=Ways(deployed.client, network)) as client,
    ):
        record = client.upload(picture)
        assert record["status"] == "pending"
        assert deployed.client.get("/images").json()["items"] == []
        event = object_created(f"originals/{record['id']}", picture.bytes, deployed.bucket)
        deployed.made.sqs.send_message(QueueUrl=deployed.queue_url, MessageBody=event)
        assert deployed.deliver() == [{"batchItemFailures": []}]
        record = client.wait_until_processed(record, 5)
        assert record["status"] == "ready", record
        assert client.upload(picture)["duplicate"]  # the worker has read the bytes and keeps their hash
    assert peak_mb() - before < 25
    assert record["sha256"] == picture.sha256
    original = deployed.fetch(deployed.client.get(f"/images/{record['id']}/original").headers["location"])
    assert hashlib.sha256(original.content).hexdigest() == picture.sha256


def peak_mb() -> float:
    """The most memory that this process has held since this was asked last."""
    found = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    Path("/proc/self/clear_refs").write_text("5")
    assert found
    return int(found[1]) / 1024
