"""Many uploads at once: all ready, none lost, none doubled."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.running_server import Server, serving, wait_for
from tests.samples import encoded

UPLOADS = 100


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("load") / "data") as running:
        yield running


@pytest.mark.slow
def test_a_hundred_uploads_eight_at_a_time_are_all_ready(server: Server) -> None:
    bodies = [encoded("JPEG", 640, 480, seed=seed) for seed in range(UPLOADS)]

    def upload(body: bytes) -> str:
        answer = server.client.post("/upload", files={"file": ("p.jpg", body)})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(upload, bodies))
    assert len(set(ids)) == UPLOADS

    def pending() -> int:
        return len(server.client.get("/images", params={"status": "pending", "limit": 200}).json()["items"])

    wait_for(lambda: not pending(), 120, server.log.read_text)
    listed, cursor = [], None
    while True:
        query = {"status": "ready", "limit": "37", **({"cursor": cursor} if cursor else {})}
        page = server.client.get("/images", params=query).json()
        listed += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert sorted(listed) == sorted(ids)


@pytest.mark.slow
def test_racing_uploads_of_the_same_bytes_make_one_image(server: Server) -> None:
    body = encoded("JPEG", 500, 400, seed=999)

    def upload(_: int) -> tuple[int, str]:
        answer = server.client.post("/upload", files={"file": ("p.jpg", body)})
        return answer.status_code, str(answer.json()["id"])

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(upload, range(32)))
    assert len({image_id for _, image_id in answers}) == 1
    assert sorted(code for code, _ in answers) == [200] * 31 + [201]
