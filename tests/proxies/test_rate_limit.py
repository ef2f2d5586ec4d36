"""The rate limit behind nginx and Caddy: the address of the client counts, not one that it claims."""

from pathlib import Path

import httpx
import pytest

from tests.proxies.conftest import NAME, PROXIES, Proxy, proxied

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
    with proxied(name, tmp_path, DARKROOM_RATE_LIMIT=RATE) as proxy:
        for address in ("127.0.0.2", "127.0.0.3"):
            found = statuses(proxy, address)
            assert found[0] == 200
            assert set(found) == {200, 429}
