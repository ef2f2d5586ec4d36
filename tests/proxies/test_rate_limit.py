"""The rate limit behind nginx and Caddy: the address of the client counts, not one that it claims."""

import shutil
from pathlib import Path

import httpx
import pytest

from tests.engines import free_port
from tests.proxies.conftest import NAME, PROXIES, Proxy, certificate, running
from tests.running_server import serving

pytestmark = pytest.mark.proxies

#: So low that no machine is too slow to exceed it: a request in ten seconds.
RATE = "0.1"


def statuses(proxy: Proxy, address: str) -> list[int]:
    """Send requests from an address of the loopback, each with headers that claim another one."""
    transport = httpx.HTTPTransport(verify=False, local_address=address)
    found = []
    with httpx.Client(transport=transport, base_url=f"https://127.0.0.1:{proxy.port}", timeout=60) as client:
        for number in range(20):
            claimed = f"192.0.2.{number}"
            headers = {"Host": NAME, "X-Forwarded-For": claimed, "Forwarded": f"for={claimed}", "X-Real-IP": claimed}
            found.append(client.get("/images", headers=headers).status_code)
        assert client.get("/healthz", headers={"Host": NAME}).status_code == 200
    return found


@pytest.mark.parametrize("name", PROXIES)
def test_each_client_of_a_proxy_has_a_limit_of_its_own(name: str, tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: see `make test-proxies`")
    pair, port = certificate(tmp_path), free_port()
    settings = {
        "DARKROOM_PUBLIC_URL": f"https://{NAME}",
        "DARKROOM_TRUSTED_PROXIES": "127.0.0.1",
        "DARKROOM_RATE_LIMIT": RATE,
    }
    with serving(tmp_path / "data", **settings) as server:
        command = PROXIES[name](tmp_path, port, f"127.0.0.1:{server.port}", pair)
        proxy = Proxy(name, port, pair[0], server, tmp_path / "cache")

        def answers() -> bool:
            with proxy.client() as client:
                return client.get("/healthz").status_code == 200

        with running(command, tmp_path, answers):
            for address in ("127.0.0.2", "127.0.0.3"):
                found = statuses(proxy, address)
                assert found[0] == 200
                assert set(found) == {200, 429}
