"""Processor time of warm reads on Lambda: a record, and a page of 50, as the function's process spends it.

    .venv/bin/python -m benchmarks.warm_reads [--rounds 5] [--compare LABEL=[TAG]@[REVISION] ...] [--no-save]

Needs `make engines` and `make images`. Each handler runs in its container under the Runtime Interface Emulator, all on
one core and in turns, over DynamoDB Local. An empty handler shows the part of Lambda's client. `--compare` adds the
application at another commit, or an image with another tag, or both. The figures go to `results/warm_reads.json`.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from statistics import median
from typing import Any

from app.adapters.dynamodb import DynamoImages
from benchmarks.cold_start import (
    HANDLERS,
    OURS,
    SETTINGS,
    Container,
    Kind,
    add_ready_image,
    compared,
    read_options,
    running,
)
from benchmarks.results_file import save
from tests import aws
from tests.engines import dynamodb_local
from tests.entry_points.opened import get_event

IMAGES = 50
#: Calls of a round. The first round does not count. Each record is read several times in all.
CALLS = {"record": 200, "page": 50}
_EMPTY = Kind("empty.handler", {HANDLERS / "empty.py": "/var/task/empty.py"})


def measure(kinds: Mapping[str, Kind], rounds: int, core: int) -> dict[str, Any]:
    """Return median milliseconds of processor time by handler and call."""
    with ExitStack() as stack:
        client = aws.clients(stack.enter_context(dynamodb_local())).dynamodb
        table = stack.enter_context(aws.table(client))
        images = DynamoImages(client, table)
        ids = [add_ready_image(images) for _ in range(IMAGES)]
        settings = {**SETTINGS, "DARKROOM_DATABASE_URL": f"dynamodb://{table}",
                    "AWS_ENDPOINT_URL_DYNAMODB": client.meta.endpoint_url}  # fmt: skip
        containers = {name: stack.enter_context(running("api", core, settings, kind)) for name, kind in kinds.items()}
        events = {
            "record": [get_event(f"/images/{image_id}") for image_id in ids],
            "page": [get_event("/images", query=f"limit={IMAGES}")],
        }
        found: dict[str, dict[str, list[float]]] = {name: {call: [] for call in events} for name in kinds}
        for turn in range(rounds + 1):
            for name in list(kinds)[:: 1 if turn % 2 else -1]:
                for call, given in events.items():
                    spent = _call(containers[name], given, CALLS[call], empty=kinds[name] is _EMPTY)
                    if turn:
                        found[name][call].append(spent)
    return {
        name: {call: {"cpu_ms": round(median(all_), 2)} for call, all_ in calls.items()}
        for name, calls in found.items()
    }


def _call(container: Container, events: Sequence[Any], count: int, *, empty: bool) -> float:
    """Send that many events in turn; return milliseconds of processor time for each."""
    container.invoke(events[0])  # the emulator starts the function at the first call
    before = container.total_cpu_ms
    for event in islice(cycle(events), count):
        answer = container.invoke(event)
        assert empty or answer["statusCode"] == 200, answer
    return (container.total_cpu_ms - before) / count


def main() -> None:
    """Measure, print, save."""
    asked = read_options("Measure warm reads of the API's function.", "rounds", 5)
    with ExitStack() as stack:
        kinds = {"empty": _EMPTY, "ours": OURS, **compared(asked.compare, stack)}
        handlers = measure(kinds, asked.rounds, max(os.sched_getaffinity(0)))
    print(json.dumps(handlers, indent=1))
    if not asked.no_save:
        packages = ["botocore", "fastapi", "pydantic", "aws-lambda-powertools", "mangum"]
        print(save("warm_reads", packages, rounds=asked.rounds, images=IMAGES, handlers=handlers))


if __name__ == "__main__":
    main()
