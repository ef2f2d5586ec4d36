"""Log lines of an entry point, parsed as a collector does: a JSON object per line, of one of three kinds."""

import json
import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.domain.models import FailureCode
from app.domain.reports import ImageReport, Outcome, RequestReport
from app.metrics import NAMESPACE, PHASES

Line = dict[str, Any]

_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_SERVED = {
    "/", "/docs", "/redoc", "/openapi.json", "/static", "/limits", "/healthz", "/readyz", "/upload", "/upload/direct",
    "/images", "/images/{image_id}", "/images/{image_id}/original", "/images/{image_id}/variants/{name}",
    "/i/{image_id}", "/i/{image_id}/{slug}", "/i/{image_id}/{slug:path}",
    "/files/{key:path}",
}  # fmt: skip
_EVERY = {"timestamp", "level", "name", "message", "service"}
_ON_LAMBDA = {"cold_start", "invocation_id", "xray_trace_id"}
_SHAPES: dict[str, str | type | tuple[type, ...]] = {
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00",
    "level": "DEBUG|INFO|WARNING|ERROR",
    "name": r"[a-z_.]+",
    "message": str,
    "service": r"[\w.-]+",
    "cold_start": bool,
    "invocation_id": r"[0-9a-f-]{36}",
    "xray_trace_id": r"1-[0-9a-f]{8}-[0-9a-f]{24}",
    "request_id": r"[A-Za-z0-9._:=-]{1,128}",
    "gateway_id": r"[A-Za-z0-9._:=-]{1,128}",
    "image_id": _ID,
    "method": "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|other",
    "code": r"[a-z_]+",
    "outcome": "|".join(Outcome),
    "format": r"image/[a-z]+",
    "duplicate": bool,
    "direct": bool,
    "phases": dict,
}
METRICS = {
    "Uploads", "UploadBytes", "Processed", "Failed", "Faults", "Retried", "Unknown", "Ignored",
    *(f"{p.capitalize()}Seconds" for p in PHASES),
}  # fmt: skip


def lines_of(text: str) -> list[Line]:
    """Every line, which must be JSON and of the form that its kind has."""
    found = []
    for raw in text.splitlines():
        try:
            line = json.loads(raw)
        except ValueError:
            raise AssertionError(f"no JSON: {raw}") from None
        assert isinstance(line, dict), raw
        if "_aws" in line:
            _check_metrics(line)
        else:
            _check(line)
        found.append(line)
    return found


@contextmanager
def logging_restored() -> Iterator[None]:
    """Give this process's loggers back what an entry point has removed from them."""
    names = (None, "app", "uvicorn", "uvicorn.access", "mangum.http")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.handlers, logger.level, logger.propagate) for logger in loggers]
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


def of_requests(lines: list[Line], **known: Any) -> list[Line]:
    return [line for line in lines if line.get("name") == "app.request" and known.items() <= line.items()]


def of_images(lines: list[Line], **known: Any) -> list[Line]:
    return [line for line in lines if line.get("name") == "app.image" and known.items() <= line.items()]


def of_metrics(lines: list[Line]) -> list[Line]:
    return [line for line in lines if "_aws" in line]


def counted(lines: list[Line], metric: str) -> float:
    """The sum of a metric's values."""
    return sum(sum(line.get(metric, ())) for line in of_metrics(lines))


def _check(line: Line) -> None:
    assert line.keys() >= _EVERY, line
    assert list(line)[:4] == ["timestamp", "level", "name", "message"], line
    report = {"app.request": RequestReport, "app.image": ImageReport}.get(line["name"])
    if report is None:
        return
    known = set(report.__annotations__)
    assert line.keys() <= known | _EVERY | _ON_LAMBDA, line
    needed = {"app.request": {"request_id", "method", "status", "ms", "bytes_in", "bytes_out"},
              "app.image": {"image_id", "outcome", "ms", "direct"}}  # fmt: skip
    assert line.keys() >= needed[line["name"]], line
    for name, value in line.items():
        shape = _SHAPES.get(name, (int, float))
        if name == "route":
            assert value in _SERVED, line
        elif isinstance(shape, str):
            assert isinstance(value, str), (name, line)
            assert re.fullmatch(shape, value), (name, line)
        else:
            assert isinstance(value, shape), (name, line)
    for phase, ms in line.get("phases", {}).items():
        assert re.fullmatch("[a-z_]{1,20}", phase), line
        assert 0 <= ms <= line["ms"] + 5 or phase in {"encode", "resize"}, line


def _check_metrics(line: Line) -> None:
    """Check a line against CloudWatch's embedded metric format and the names of our metrics."""
    head = line["_aws"]
    assert abs(head["Timestamp"] / 1000 - time.time()) < 3600
    (directive,) = head["CloudWatchMetrics"]
    assert directive["Namespace"] == NAMESPACE
    names = {metric["Name"] for metric in directive["Metrics"]}
    assert names
    assert names <= METRICS
    assert all(
        metric["Unit"] == ("Seconds" if metric["Name"].endswith("Seconds") else
                           "Bytes" if metric["Name"] == "UploadBytes" else "Count")
        for metric in directive["Metrics"]
    )  # fmt: skip
    dimensions = {name for dimension_set in directive["Dimensions"] for name in dimension_set}
    assert directive["Dimensions"] == ([["service"], ["service", "code"]] if names == {"Failed"} else [["service"]])
    assert line.keys() == names | dimensions | {"_aws"}
    assert line.get("code") in {None, *FailureCode}
    assert all(isinstance(value, float) for name in names for value in line[name])
