"""Store urls from settings. Every function raises ValueError with the accepted form and the value found."""

import re
from typing import Final

from app.domain.configuration.addresses import normalize_base_url

_BUCKET: Final = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_TABLE: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_QUEUE: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_MEMORY: Final = ":memory:"


def storage_url(text: str) -> str:
    """Normalize `file:<folder>` or `s3://<bucket>`."""
    scheme, _, rest = text.partition(":")
    if scheme == "file":
        return f"file:{_path(rest, 'file:./data', 'file:///srv/data')}"
    if scheme == "s3":
        return f"s3://{_name(rest, _BUCKET, 's3://<bucket>', 'a bucket has 3 to 63 of a-z, 0-9, `.` and `-`')}"
    raise ValueError(f"must be file:<folder> or s3://<bucket> (found: {_shown(text)})")


def database_url(text: str) -> str:
    """Normalize `sqlite:<file>` or `dynamodb://<table>`."""
    scheme, _, rest = text.partition(":")
    if scheme == "sqlite":
        path = _path(rest, "sqlite:./data/darkroom.db", "sqlite:///srv/data/darkroom.db")
        if path.endswith("/") or path.rpartition("/")[2] in {".", "..", _MEMORY}:
            raise ValueError(f"must name a file, such as sqlite:./data/darkroom.db (found: {_shown(text)})")
        return f"sqlite:{path}"
    if scheme == "dynamodb":
        rules = "a table has 3 to 255 of A-Z, a-z, 0-9, `_`, `.` and `-`"
        return f"dynamodb://{_name(rest, _TABLE, 'dynamodb://<table>', rules)}"
    raise ValueError(f"must be sqlite:<file> or dynamodb://<table> (found: {_shown(text)})")


def queue_url(text: str) -> str:
    """Return the url of an SQS queue unchanged."""
    address = normalize_base_url(text)
    name = address.partition("://")[2].partition("/")[2].rpartition("/")[2]
    if name.endswith(".fifo"):
        raise ValueError("must be a standard queue: S3 sends no events to FIFO queues")
    if not _QUEUE.fullmatch(name):
        raise ValueError(
            "must end with the account and the queue's name, as in https://sqs.eu-west-1.amazonaws.com/123456789012/events"
        )
    return text


def _path(rest: str, relative: str, absolute: str) -> str:
    """Return the path after the scheme: `./a`, `/a` or `///a`."""
    form = f"must be a path, such as {relative} or {absolute}"
    if rest.startswith("//"):
        if not rest.startswith("///"):
            raise ValueError(f"{form}, without a host (found: {_shown(rest)})")
        rest = "/" + rest.lstrip("/")
    if not rest.strip() or "\0" in rest:
        raise ValueError(f"{form} (found: {_shown(rest)})")
    if rest.startswith("~"):
        raise ValueError(f"{form}; `~` is not replaced (found: {_shown(rest)})")
    return rest


def _name(rest: str, pattern: re.Pattern[str], form: str, rules: str) -> str:
    if not rest.startswith("//"):
        raise ValueError(f"must be {form} (found: {_shown(rest)} after the colon)")
    name, slash, path = rest[2:].partition("/")
    if path:
        raise ValueError(
            f"must be {form}, without a path: the service needs a bucket or table of its own (found: {_shown(path)})"
        )
    if not pattern.fullmatch(name):
        raise ValueError(f"must be {form}, and {rules} (found: {_shown(name + slash)})")
    return name


def _shown(text: str) -> str:
    """Quote the text without the part before `@`, which may be a password."""
    return repr(text.rpartition("@")[2][:80])
