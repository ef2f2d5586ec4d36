"""Sizes on demand: misses compared with thumbor and sharp, hits with Starlette's FileResponse, and an attack.

    .venv/bin/python -m benchmarks.on_demand [rounds]

Needs `wrk`, npm and Linux; installs thumbor and sharp into `.cache/bench`. A miss renders the 12-megapixel photograph
to a WebP of 640 pixels and quality 75, by one request at a time. thumbor and sharp read the file and store nothing; the
server also stores the size, and reads and checks the record. With the default recipe it renders the variant of 1280
pixels, and without that recipe the original. Rounds alternate, and each figure is the median. A hit is the same size
again, on 8 connections. The attack asks for 500 different sizes. The figures go to `results/on_demand.json`.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import uvicorn
from PIL import Image as Pillow
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.domain.sizes.snapping import Ladder
from benchmarks.http import _free_port, _wait_for
from benchmarks.render.images import add_grain
from benchmarks.render.peers import NODE, SCRATCH, SHARP
from benchmarks.results_file import save
from tests.running_server import Server, serving
from tests.samples import photograph

ROUNDS, WARM_UP = 15, 3
#: Seconds before each miss, so that no server is busy with what follows an earlier request: Darkroom starts a process
#: for the next one.
PAUSE = 0.15
CONNECTIONS, SECONDS = 8, 4
ATTACK = 500
THUMBOR = "thumbor==7.8.0"
#: Largest ratio to the milliseconds of a peer, and smallest ratio to the rate of FileResponse.
MOST, LEAST = 1.0, 0.5
ORIGINAL_ONLY = '{"variants": [{"name": "thumb", "width": 256}]}'
QUERY = "w=640&fm=webp"
_VENV = SCRATCH / "thumbor"


def install() -> None:
    """Install the peers unless they are there."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    if not (NODE / "node_modules" / "sharp").exists():
        NODE.mkdir(exist_ok=True)
        _run("npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(NODE), SHARP)
    if not (_VENV / "bin" / "thumbor").exists():
        _run(sys.executable, "-m", "venv", "--clear", str(_VENV))
        _run(str(_VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", THUMBOR)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def phone() -> bytes:
    """Return the photograph with the grain and the weight of a phone's."""
    with Pillow.open(io.BytesIO(photograph("photo-12mp.jpg"))) as image:
        out = io.BytesIO()
        add_grain(image.convert("RGB")).save(out, "JPEG", quality=85)
    return out.getvalue()


@contextlib.contextmanager
def peer(command: list[str], port: int, folder: Path = NODE) -> Iterator[str]:
    """Run a server until the block ends."""
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL) as process, httpx.Client() as client:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(client, url)
            yield url
        finally:
            process.terminate()


def thumbor(folder: Path, port: int) -> list[str]:
    """Return the command of a thumbor that keeps nothing."""
    conf = folder / "thumbor.conf"
    conf.write_text(
        "LOADER = 'thumbor.loaders.file_loader'\n"
        f"FILE_LOADER_ROOT_PATH = '{folder}'\n"
        "STORAGE = 'thumbor.storages.no_storage'\n"
        "RESULT_STORAGE = None\nHEALTHCHECK_ROUTE = r'/healthz'\n"
    )
    return [str(_VENV / "bin" / "thumbor"), "-i", "127.0.0.1", "-p", str(port), "-c", str(conf), "-l", "error"]


def upload(server: Server, body: bytes) -> str:
    """Upload the photograph and wait until it is processed. Returns its id."""
    record = server.client.post("/upload", params={"wait": 20}, files={"file": ("phone.jpg", body)}).json()
    assert record["status"] == "ready", record
    return str(record["id"])


def stored(server: Server, image_id: str) -> list[Path]:
    """Return the files of the sizes of an image."""
    return [path for path in (server.data / "ondemand").rglob("*") if path.is_file() and image_id in path.parts]


def darkroom_miss(server: Server, image_id: str) -> Callable[[], float]:
    """Return a function that has the size rendered, and returns the milliseconds of its request."""

    def miss() -> float:
        for path in stored(server, image_id):
            path.unlink()
        return _timed(server.client, f"/i/{image_id}?{QUERY}")

    return miss


def _timed(client: httpx.Client, url: str) -> float:
    started = time.perf_counter()
    answer = client.get(url)
    took = (time.perf_counter() - started) * 1000
    assert answer.status_code == 200, answer.text
    with Pillow.open(io.BytesIO(answer.content)) as image:
        assert (image.format, image.width) == ("WEBP", 640)
    return took


def misses(rounds: int) -> dict[str, float]:
    """Return the milliseconds of a miss by server."""
    body = phone()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "phone.jpg").write_bytes(body)
        client = stack.enter_context(httpx.Client(timeout=60))
        whole = stack.enter_context(serving(folder / "whole"))
        bare = stack.enter_context(serving(folder / "bare", DARKROOM_RECIPE=ORIGINAL_ONLY))
        ports = _free_port(), _free_port()
        sharp = [str(Path(__file__).with_name("on_demand_sharp.mjs")), str(ports[0]), str(folder / "phone.jpg")]
        sharp_url = stack.enter_context(peer(["node", *sharp], ports[0]))
        thumbor_url = stack.enter_context(peer(thumbor(folder, ports[1]), ports[1], folder))
        path = "/unsafe/640x0/filters:format(webp):quality(75)/phone.jpg"
        servers: dict[str, Callable[[], float]] = {
            "darkroom": darkroom_miss(whole, upload(whole, body)),
            "darkroom, from the original": darkroom_miss(bare, upload(bare, body)),
            "sharp": lambda: _timed(client, f"{sharp_url}/"),
            "thumbor": lambda: _timed(client, thumbor_url + path),
        }
        found: dict[str, list[float]] = {name: [] for name in servers}
        for number in range(WARM_UP + rounds):
            for name, miss in servers.items():
                time.sleep(PAUSE)
                took = miss()
                if number >= WARM_UP:
                    found[name].append(took)
    return {name: round(median(times), 1) for name, times in found.items()}


def serve_file(port: int, file: Path) -> None:
    """Serve one file with FileResponse."""

    async def get(_: Request) -> Response:
        return FileResponse(file, headers={"cache-control": "public, max-age=3600"}, media_type="image/webp")

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/healthz", healthz), Route("/i/{image_id}", get)])
    uvicorn.run(app, port=port, http="h11", loop="uvloop", access_log=False, log_level="warning", lifespan="off")


def rate(url: str) -> float:
    """Return the requests per second of a load on this url."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", url]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in printed, printed
    (found,) = re.findall(r"Requests/sec:\s+([\d.]+)", printed)
    return float(found)


def hits(rounds: int) -> dict[str, float]:
    """Return the requests per second for a stored size, of the server and of FileResponse."""
    body = phone()
    with tempfile.TemporaryDirectory() as name, serving(Path(name, "data")) as server:
        image_id = upload(server, body)
        path = f"/i/{image_id}?{QUERY}"
        server.client.get(path).raise_for_status()
        (file,) = stored(server, image_id)
        port = _free_port()
        command = [sys.executable, "-m", "benchmarks.on_demand", "--serve", str(port), str(file)]
        with peer(command, port, Path(__file__).parents[1]) as url:
            found: dict[str, list[float]] = {"darkroom": [], "FileResponse": []}
            for _ in range(rounds):
                found["darkroom"].append(rate(server.url + path))
                found["FileResponse"].append(rate(url + path))
    return {name: round(median(rates), 1) for name, rates in found.items()}


def attack() -> dict[str, Any]:
    """Ask for many sizes in a row. Returns the number of files, and the memory of server and worker in MB."""
    body = phone()
    formats = ("webp", "jpg", "avif", "png")
    with tempfile.TemporaryDirectory() as name, serving(Path(name, "data")) as server:
        image_id = upload(server, body)
        memory = []
        for number in range(ATTACK):
            query = f"w={number + 1}&q={number % 100 + 1}&fm={formats[number % 4]}&dpr={1 + number % 3}"
            server.client.get(f"/i/{image_id}?{query}").raise_for_status()
            if number in {ATTACK // 2, ATTACK - 1}:
                memory.append(_memory_mb(server))
        files = len(stored(server, image_id))
    return {"sizes": ATTACK, "files": files, "most_files": Ladder().most_files, "memory_mb": memory}


def _memory_mb(server: Server) -> float:
    """Return the resident memory of the server and of its children's processes."""
    assert server.process is not None
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    ours = {server.process.pid}
    for _ in range(3):  # the worker, its fork server, a child
        ours |= {pid for pid, parent in parents.items() if parent in ours}
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in ours if Path(f"/proc/{pid}").exists())
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1_048_576, 1)


def main() -> None:
    """Measure everything, print and save it."""
    if sys.argv[1:2] == ["--serve"]:
        serve_file(int(sys.argv[2]), Path(sys.argv[3]))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    install()
    missed, hit, attacked = misses(rounds), hits(max(3, rounds // 5)), attack()
    ratios = {
        "miss_vs_thumbor": round(missed["darkroom"] / missed["thumbor"], 2),
        "miss_vs_sharp": round(missed["darkroom"] / missed["sharp"], 2),
        "hit_vs_file_response": round(hit["darkroom"] / hit["FileResponse"], 2),
    }
    for name, figures in (("ms of a miss", missed), ("hits a second", hit), ("attack", attacked), ("ratios", ratios)):
        print(f"{name}: {figures}")
    promises = {"miss_vs_thumbor": MOST, "miss_vs_sharp": MOST, "hit_vs_file_response": LEAST}
    packages = ("Pillow", "uvicorn", "starlette")
    save(
        "on_demand", packages, peers=[THUMBOR, SHARP], miss_ms=missed, hits_per_second=hit, attack=attacked,
        ratios=ratios, promises=promises,
    )  # fmt: skip


if __name__ == "__main__":
    main()
