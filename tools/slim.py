"""Remove files that a function never reads from a folder of packages: `python slim.py <folder>`, in an image build.

Most of them describe the 400 services of the SDK, of which five are used. Old versions of those five go too, and the
documentation inside: it is most of what the SDK unpacks and reads to create a client. The rest are leftovers of pip and
examples of the SDK. Licenses, names and versions of packages stay for scanners.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

SERVICES = {"cloudfront", "dynamodb", "lambda", "s3", "sqs"}
#: Files of pip that would be wrong after this script.
PIP = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def main(folder: Path) -> None:
    """Remove unused files from the packages in this folder."""
    data = folder / "botocore" / "data"
    missing = SERVICES - {entry.name for entry in data.iterdir()}
    if missing:
        raise SystemExit(f"{data} has another layout than expected: it lacks {missing}")
    for entry in data.iterdir():
        if entry.is_dir() and entry.name not in SERVICES:
            shutil.rmtree(entry)
    for service in SERVICES:
        keep_newest_version(data / service)
    for examples in data.glob("*/*/examples-1.json*"):
        examples.unlink()
    for packed in data.glob("*/*/*.json.gz"):
        model = remove_documentation(json.loads(gzip.decompress(packed.read_bytes())))
        packed.with_suffix("").write_text(json.dumps(model, separators=(",", ":")))
        packed.unlink()
    endpoints = data / "endpoints.json"
    endpoints.write_text(json.dumps(keep_used_services(json.loads(endpoints.read_text())), separators=(",", ":")))
    # pydantic 1, which FastAPI loads to check whether a model belongs to it. FastAPI works without it.
    for needless in (folder / "pydantic" / "v1", folder / "bin"):
        shutil.rmtree(needless, ignore_errors=True)
    for information in folder.glob("*.dist-info"):
        for name in PIP:
            (information / name).unlink(missing_ok=True)


def keep_newest_version(service: Path) -> None:
    """Remove the versions of a service's description that the SDK does not use."""
    for version in sorted(entry for entry in service.iterdir() if entry.is_dir())[:-1]:
        shutil.rmtree(version)


def remove_documentation(node: Any) -> Any:
    """Return the description of a service with empty documentation texts. A member named so is kept: it is no text."""
    if isinstance(node, dict):
        return {
            key: "" if key == "documentation" and isinstance(value, str) else remove_documentation(value)
            for key, value in node.items()
        }
    return [remove_documentation(each) for each in node] if isinstance(node, list) else node


def keep_used_services(endpoints: Any) -> Any:
    """Remove the endpoints of unused services from every partition."""
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in sorted(SERVICES & services.keys())}
    return endpoints


if __name__ == "__main__":
    main(Path(sys.argv[1]))
