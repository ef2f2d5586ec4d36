"""A large image by upload ticket on AWS: directly to the bucket, then through the worker."""

import hashlib
import re
from pathlib import Path

import httpx
import pytest

from app.domain.images.notifications import object_created
from darkroom import Client
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
    size = path.stat().st_size
    assert 40 * MEGABYTE < size < 42 * MEGABYTE
    peak_mb()
    before = peak_mb()  # what it holds now
    with (
        httpx.HTTPTransport() as network,
        Client("https://img.example.org", transport=Ways(deployed.client, network)) as client,
    ):
        assert client.limits().max_upload_bytes < size
        image = client.upload(path)
        assert (image.status, image.bytes, image.duplicate) == ("pending", size, False)
        assert list(client.images()) == []
        event = object_created(f"originals/{image.id}", size, deployed.bucket)
        deployed.made.sqs.send_message(QueueUrl=deployed.queue_url, MessageBody=event)
        assert deployed.deliver() == [{"batchItemFailures": []}]
        image = client.get(image.id, wait=5)
        assert image.status == "ready", image.error
        assert client.upload(path).duplicate  # the worker has read the bytes and keeps their hash
        assert client.download(image.id, tmp_path / "copy.png") == size
    assert peak_mb() - before < 25
    assert image.sha256 == hashlib.sha256((tmp_path / "copy.png").read_bytes()).hexdigest()


def peak_mb() -> float:
    """The most memory that this process has held since this was asked last."""
    found = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    Path("/proc/self/clear_refs").write_text("5")
    assert found
    return int(found[1]) / 1024
