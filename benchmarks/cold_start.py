"""Cold starts of both functions in their images, with the first request, and the duration of a warm one for a record.

Each is compared with a handler that imports the same libraries and makes the same clients, and with an empty one. The
libraries of the API include a FastAPI application with one route, which has a parameter and a body, because no
application does without: FastAPI loads and builds more for the first one than for any other.

    .venv/bin/python -m benchmarks.cold_start [--starts 10] [--compare LABEL=[TAG]@[REVISION] ...] [--no-save]

Needs `make engines` and `make images`. Every start is a new container as Lambda would run it, under the Runtime
Interface Emulator, on one core. The handlers take turns, so that other load on the machine affects all of them.
`--compare` adds the application at another commit, or an image with another tag, or both. The figures go to
`results/cold_start.json`.
"""

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

from PIL import Image as PillowImage

from app.adapters.dynamodb import DynamoImages
from app.domain.ids import new_id
from app.domain.models import ANONYMOUS, Format, Image, Status, Variant, utcnow
from benchmarks.results_file import save
from tests import aws
from tests.engines import ACCESS_KEY, REGION, SECRET_KEY, dynamodb_local, seaweedfs
from tests.entry_points.opened import get_event, upload_event
from tests.images_built.podman import IMAGES, MEMORY, USER, environment, missing, podman
from tests.lambda_runtime.function import Function, wait_until_it_listens
from tests.repository.tree import ROOT
from tests.running_server import free_port, wait_for

HANDLERS = Path(__file__).parent / "handlers"
#: Largest allowed ratio of CPU time to that of the libraries alone, and targets in milliseconds.
RATIO = 1.15
AIMS = {"api": 700, "worker": 600}
WARM_AIM = 10
WARM_CALLS = 60
FIRST_STARTS = 5
_EVENTS: dict[str, Any] = {"api": get_event("/healthz"), "worker": {}}
_NOWHERE = "http://127.0.0.1:9"  # nothing listens here: a start sends no request
SETTINGS = {
    "AWS_ENDPOINT_URL_DYNAMODB": _NOWHERE,
    "DARKROOM_STORAGE_URL": "s3://images",
    "DARKROOM_DATABASE_URL": "dynamodb://ImageMetadata",
    "DARKROOM_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/images",
    "DARKROOM_SECRET": "a secret of the benchmark",
    "DARKROOM_ALLOW_ANONYMOUS": "true",
}


@dataclass(frozen=True)
class Start:
    """One start: milliseconds until the handler can be called, and CPU milliseconds of its process."""

    init_ms: float
    cpu_ms: float


@dataclass(frozen=True)
class Kind:
    """A handler (ours by default) in the image of a tag, with files of this machine mounted into it."""

    handler: str | None = None
    mounts: Mapping[Path, str] = field(default_factory=dict)
    tag: str = "test"


OURS = Kind()


class Container(Function):
    """A function in its container on one core."""

    name: str

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of the function's process, without its children."""
        process = self.process_id
        allowed = Path(f"/proc/{process}/status").read_text().partition("Cpus_allowed_list:")[2].split()[0]
        assert allowed.isdigit(), f"it runs on the cores {allowed}"
        threads = Path(f"/proc/{process}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e6

    @property
    def total_cpu_ms(self) -> float:
        """CPU milliseconds of the same process with threads that have ended, in steps of 10."""
        fields = Path(f"/proc/{self.process_id}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1000.0 / int(os.sysconf("SC_CLK_TCK"))

    @property
    def process_id(self) -> str:
        """Id of the function's process on this machine."""
        emulator = podman("container", "inspect", "--format", "{{.State.Pid}}", self.name).stdout.strip()
        (process,) = _children(emulator)
        return process

    @property
    def durations(self) -> list[float]:
        """Milliseconds of each invocation, as the emulator measured them."""
        return [float(found) for found in re.findall(r"REPORT RequestId:.*?\tDuration: ([\d.]+) ms", self.log)]


def _children(process: str) -> list[str]:
    threads = Path(f"/proc/{process}/task").iterdir()
    return [child for thread in threads for child in (thread / "children").read_text().split()]


@contextmanager
def running(function: str, core: int, settings: Mapping[str, str], kind: Kind = OURS) -> Iterator[Container]:
    """Run the image of a function on that core: read-only, as an ordinary user, in its memory."""
    port, api_port = free_port(), free_port()
    emulator = [
        "/usr/local/bin/aws-lambda-rie", "--log-level", "info", "--runtime-interface-emulator-address",
        f"127.0.0.1:{port}", "--runtime-api-address", f"127.0.0.1:{api_port}", "python", "-m", "awslambdaric",
    ]  # fmt: skip
    given = {
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        **settings,
    }
    name = f"darkroom-start-{uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as folder:
        log, empty = Path(folder, "log"), Path(folder, "empty")
        empty.mkdir()
        Path(folder).chmod(0o755)
        volumes = {empty: "/dev/shm", **kind.mounts}
        command = [
            "taskset", "--cpu-list", str(core), "podman", "run", "--rm", f"--name={name}", "--pull=never",
            "--network=host", "--read-only", "--read-only-tmpfs=false", f"--user={USER}", "--cap-drop=all",
            "--tmpfs=/tmp:rw,nosuid,nodev,size=512m,mode=1777", f"--memory={MEMORY[function]}m",
            f"--entrypoint={json.dumps(emulator)}", *(f"--env={key}={value}" for key, value in given.items()),
            *(f"--volume={here}:{there}:ro" for here, there in volumes.items()),
            f"{IMAGES[function].rpartition(':')[0]}:{kind.tag}", kind.handler or f"app.lambda_{function}.handler",
        ]  # fmt: skip
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        found = Container(f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations", process, log)
        found.name = name
        try:
            wait_until_it_listens(found, port)
            yield found
        finally:
            podman("rm", "--force", "--time=0", name, check=False)
            process.wait(20)


def start(function: str, core: int, kind: Kind) -> Start:
    """Start the function once; the emulator does so at the first call."""
    with running(function, core, SETTINGS, kind) as found:
        found.invoke(_EVENTS[function])
        wait_for(lambda: "INIT REPORT" in found.log, 10)  # podman forwards lines with a delay
        return Start(found.init_ms, found.cpu_ms)


def starts(function: str, count: int, core: int, others: Mapping[str, Kind]) -> dict[str, list[Start]]:
    """Start each kind `count` times, in turns, after one start each to fill the page cache."""
    kinds = {
        "empty": Kind("empty.handler", {HANDLERS / "empty.py": "/var/task/empty.py"}),
        "libraries": Kind(f"{function}.handler", {HANDLERS / f"{function}.py": f"/var/task/{function}.py"}),
        "ours": OURS,
        **others,
    }
    found: dict[str, list[Start]] = {name: [] for name in kinds}
    for turn in range(count + 1):
        for name, kind in list(kinds.items())[:: 1 if turn % 2 else -1]:  # growing load favors no kind
            one = start(function, core, kind)
            if turn:
                found[name].append(one)
    return found


@contextmanager
def application_at(revision: str) -> Iterator[Path]:
    """Extract the application of a commit and compile it as in the image."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        archive = subprocess.run(["git", "archive", revision, "app"], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        script = "python -m compileall -q --invalidation-mode unchecked-hash /at && chmod -R a+rX /at"
        podman("run", "--rm", "--network=none", "--entrypoint=sh", f"--volume={folder}/app:/at", IMAGES["api"],
               "-c", script)  # fmt: skip
        yield Path(folder, "app")


def summary(found: Mapping[str, Sequence[Start]]) -> dict[str, Any]:
    """Return medians, and medians of the ratios within each turn."""

    def pair(kind: str, other: str, figure: str) -> float:
        turns = zip(found[kind], found[other], strict=True)
        return round(median(getattr(one, figure) / getattr(two, figure) for one, two in turns), 3)

    return {
        "handlers": {
            kind: {
                "init_ms": round(median(one.init_ms for one in all_), 1),
                "cpu_ms": round(median(one.cpu_ms for one in all_), 1),
                "every_init_ms": [round(one.init_ms) for one in all_],
            }
            for kind, all_ in found.items()
        },
        "ours_over_libraries": {
            "init": pair("ours", "libraries", "init_ms"),
            "cpu": pair("ours", "libraries", "cpu_ms"),
        },
    }


def profile(function: str) -> dict[str, Any]:
    """Measure import times: by package alone, and by module including its imports."""
    given = {**SETTINGS, "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    run = podman("run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp", "--entrypoint=python",
                  *(f"--env={key}={value}" for key, value in given.items()), IMAGES[function],
                  "-X", "importtime", "-c", f"import app.lambda_{function}")  # fmt: skip
    rows = re.findall(r"^import time: +(\d+) \| +(\d+) \| +(\S+)$", run.stderr, re.MULTILINE)
    by_package: Counter[str] = Counter()
    for own, _, module in rows:
        parts = module.split(".")
        by_package[".".join(parts[:2]) if parts[0] == "app" else parts[0]] += int(own)
    by_module = sorted(rows, key=lambda row: -int(row[1]))[:25]
    return {
        "modules": len(rows),
        "total_ms": round(sum(int(own) for own, _, _ in rows) / 1000, 1),
        "own_ms_by_package": {name: round(own / 1000, 1) for name, own in by_package.most_common(20)},
        "including_imports_ms": {module: round(int(both) / 1000, 1) for _, both, module in by_module},
    }


def first_requests(core: int, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Measure a start with its first request, over DynamoDB Local and SeaweedFS: milliseconds, and those of CPU."""
    with ExitStack() as stack:
        endpoints = {"dynamodb": stack.enter_context(dynamodb_local()), "s3": stack.enter_context(seaweedfs())}
        made = aws.clients(**endpoints)
        table, bucket = stack.enter_context(aws.table(made.dynamodb)), stack.enter_context(aws.bucket(made.s3))
        settings = {
            **SETTINGS,
            "DARKROOM_DATABASE_URL": f"dynamodb://{table}",
            "DARKROOM_STORAGE_URL": f"s3://{bucket}",
            **{f"AWS_ENDPOINT_URL_{name.upper()}": endpoint for name, endpoint in endpoints.items()},
        }
        record = get_event(f"/images/{add_ready_image(DynamoImages(made.dynamodb, table))}")
        found: dict[str, dict[str, list[Start]]] = {}
        calls: dict[str, Callable[[], Any]] = {
            "GET /images/{id}": lambda: record,
            "POST /upload/direct": _ticket_event,
            "POST /upload": lambda: upload_event(_noise()),
        }
        for _ in range(FIRST_STARTS):
            for (name, kind), call in product(kinds.items(), calls):
                with running("api", core, settings, kind) as api:
                    answer = api.invoke(calls[call]())
                    assert answer["statusCode"] in {200, 201}, answer
                    wait_for(lambda: len(api.durations) == 1, 10)
                    start = Start(api.durations[0], api.cpu_ms)  # the first duration includes the start
                    found.setdefault(call, {}).setdefault(name, []).append(start)
    return {
        call: {
            name: {
                "init_and_request_ms": round(median(one.init_ms for one in all_), 1),
                "cpu_ms": round(median(one.cpu_ms for one in all_), 1),
            }
            for name, all_ in by_kind.items()
        }
        for call, by_kind in found.items()
    }


def _ticket_event() -> Any:
    event = get_event("/upload/direct", method="POST")
    headers = {**event["headers"], "content-type": "application/json"}
    return {
        **event,
        "headers": headers,
        "body": '{"bytes": 1000, "content_type": "image/jpeg"}',
        "isBase64Encoded": False,
    }


def _noise() -> bytes:
    """Return an image that is not known yet."""
    file = io.BytesIO()
    PillowImage.effect_noise((64, 64), 50).save(file, "JPEG")
    return file.getvalue()


def warm(core: int) -> dict[str, Any]:
    """Measure warm `GET /images/{id}` of a ready image, with the table in DynamoDB Local."""
    with ExitStack() as stack:
        client = aws.clients(stack.enter_context(dynamodb_local())).dynamodb
        table = stack.enter_context(aws.table(client))
        image_id = add_ready_image(DynamoImages(client, table))
        settings = {**SETTINGS, "DARKROOM_DATABASE_URL": f"dynamodb://{table}",
                    "AWS_ENDPOINT_URL_DYNAMODB": client.meta.endpoint_url}  # fmt: skip
        api = stack.enter_context(running("api", core, settings))
        for _ in range(WARM_CALLS + 10):
            answer = api.invoke(get_event(f"/images/{image_id}"))
            assert answer["statusCode"] == 200, answer
        wait_for(lambda: len(api.durations) == WARM_CALLS + 10, 10)
        durations = api.durations[10:]
        lines = (json.loads(line) for line in api.log.splitlines() if '"app.request"' in line)
        handler = [line["ms"] for line in lines][10:]
    return {
        "calls": WARM_CALLS,
        "application_ms": round(median(handler), 2),
        "invocation_ms": round(median(durations), 2),
        "fastest_tenth_ms": round(sorted(durations)[WARM_CALLS // 10], 2),
    }


def add_ready_image(images: DynamoImages) -> str:
    """Store the record of a ready image; return its id."""
    now, image_id = utcnow(), new_id()
    digest = hashlib.sha256(image_id.encode()).hexdigest()
    image = Image(id=image_id, owner=ANONYMOUS, content_type="image/jpeg", bytes=3_000_000, sha256=digest,
                  filename="photo.jpg", uploaded_at=now, updated_at=now)  # fmt: skip
    images.create(image, claim=True)
    variants = [
        Variant(
            name=f"w{width}", format=Format.WEBP, width=width, height=width, bytes=width * 100, file=f"w{width}.webp"
        )
        for width in (256, 320, 640, 1280, 1920)
    ]
    changes = {
        "status": Status.READY,
        "rendering_id": "abcdef012345",
        "variants": variants,
        "width": 4032,
        "height": 3024,
    }
    return images.update(image.id, image.version, changes).id


def read_options(what: str, count: str, default: int) -> argparse.Namespace:
    """Read the command line of a benchmark of functions; exit if it cannot run here."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument(f"--{count}", type=int, default=default)
    parser.add_argument("--compare", action="append", default=[], metavar="LABEL=[TAG]@[REVISION]")
    parser.add_argument("--no-save", action="store_true")
    asked = parser.parse_args()
    why = missing()
    if why or not shutil.which("taskset"):
        raise SystemExit(why or "taskset is not installed")
    return asked


def compared(asked: Sequence[str], stack: ExitStack) -> dict[str, Kind]:
    """Return the applications of `--compare` by label; the stack removes those of other commits."""
    found = {}
    for label, _, where in (each.partition("=") for each in asked):
        tag, _, revision = where.partition("@")
        mounts = {stack.enter_context(application_at(revision)): "/var/task/app"} if revision else {}
        found[label] = Kind(None, mounts, tag or OURS.tag)
    return found


def main() -> None:
    """Measure, print, save."""
    asked = read_options("Measure cold starts of the functions.", "starts", 10)
    core = max(os.sched_getaffinity(0))
    content: dict[str, Any] = {"starts": asked.starts, "functions": {}}
    began = time.monotonic()
    with ExitStack() as stack:
        others = compared(asked.compare, stack)
        for function in IMAGES:
            content["functions"][function] = {
                **summary(starts(function, asked.starts, core, others)),
                "aim_ms": AIMS[function],
                "imports": profile(function),
            }
            print(json.dumps({**content["functions"][function], "imports": ...}, default=str, indent=1))
        content["first_requests"] = first_requests(core, {"ours": OURS, **others})
    content["warm_get"] = {**warm(core), "aim_ms": WARM_AIM}
    print(json.dumps(content["first_requests"], indent=1), content["warm_get"], f"{time.monotonic() - began:.0f} s")
    if not asked.no_save:
        print(save("cold_start", ["botocore", "fastapi", "pydantic", "aws-lambda-powertools", "mangum"], **content))


if __name__ == "__main__":
    main()
