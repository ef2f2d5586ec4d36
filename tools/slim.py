"""Takes out of a folder of packages what a function never reads: `python slim.py <folder>`, in an image's build.

Most of it is the SDK's description of four hundred services of which three are used, and the documentation in those,
which is most of what the SDK would unpack and read to make a client. The rest are leftovers of pip, and the SDK's
examples. Licences and the names and versions of packages stay, for scanners to find.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

SERVICES = {"dynamodb", "s3", "sqs"}
#: What pip writes for itself; after this script it would not be true any more.
PIP = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def main(folder: Path) -> None:
    """Thin out the packages in this folder."""
    data = folder / "botocore" / "data"
    missing = SERVICES - {entry.name for entry in data.iterdir()}
    if missing:
        raise SystemExit(f"{data} is not as this script knows it: it lacks {missing}")
    for entry in data.iterdir():
        if entry.is_dir() and entry.name not in SERVICES:
            shutil.rmtree(entry)
    for examples in data.glob("*/*/examples-1.json*"):
        examples.unlink()
    for packed in data.glob("*/*/*.json.gz"):
        told = undocumented(json.loads(gzip.decompress(packed.read_bytes())))
        packed.with_suffix("").write_text(json.dumps(told, separators=(",", ":")))
        packed.unlink()
    endpoints = data / "endpoints.json"
    endpoints.write_text(json.dumps(of_our_services(json.loads(endpoints.read_text())), separators=(",", ":")))
    # pydantic's first version, which FastAPI would load to see whether a model is of it. Where there is none, none is.
    for needless in (folder / "pydantic" / "v1", folder / "bin"):
        shutil.rmtree(needless, ignore_errors=True)
    for information in folder.glob("*.dist-info"):
        for name in PIP:
            (information / name).unlink(missing_ok=True)


def undocumented(node: Any) -> Any:
    """A service's description with empty prose. A member may have that name too: its description is no text."""
    if isinstance(node, dict):
        return {
            key: "" if key == "documentation" and isinstance(value, str) else undocumented(value)
            for key, value in node.items()
        }
    return [undocumented(each) for each in node] if isinstance(node, list) else node


def of_our_services(endpoints: Any) -> Any:
    """The SDK's endpoints with those of our services alone, in every partition."""
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in sorted(SERVICES & services.keys())}
    return endpoints


if __name__ == "__main__":
    main(Path(sys.argv[1]))
