"""Payloads as AWS sends them to functions, recorded, with the names that matter to a test left open as `{{name}}`."""

import json
import re
from pathlib import Path
from typing import Any

_OPEN = re.compile(r"\{\{(\w+)\}\}")


def payload(name: str, **given: str) -> Any:
    """The payload `<name>.json` with its placeholders filled in, at any depth of JSON inside strings."""
    text = Path(__file__).with_name(f"{name}.json").read_text()
    unknown = set(given) - set(_OPEN.findall(text))
    assert not unknown, f"{name}.json leaves none of these open: {unknown}"
    return json.loads(_OPEN.sub(lambda found: json.dumps(given[found[1]])[1:-1], text))
