"""Wheels of installed packages, for tests that install without a package index."""

import base64
import hashlib
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_NOT_COPIED = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def with_requirements(names: Iterable[str]) -> list[Distribution]:
    """Return the installed packages of these names and those that they need."""
    found: dict[str, Distribution] = {}
    todo = list(names)
    while todo:
        name = canonicalize_name(todo.pop())
        if name not in found:
            found[name] = distribution(name)
            wanted = map(Requirement, found[name].requires or ())
            todo += [each.name for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    return list(found.values())


def build_wheel(package: Distribution, folder: Path) -> Path:
    """Write a wheel with the files of an installed package of pure Python."""
    stem = f"{canonicalize_name(package.metadata['Name']).replace('-', '_')}-{package.version}"
    path = folder / f"{stem}-py3-none-any.whl"
    info = next(file.parts[0] for file in package.files or () if file.parts[0].endswith(".dist-info"))
    with zipfile.ZipFile(path, "w") as wheel:
        record = ""
        for file in package.files or ():
            if file.suffix != ".pyc" and file.name not in _NOT_COPIED and ".." not in file.parts:
                raw = Path(str(file.locate())).read_bytes()
                wheel.writestr(str(file), raw)
                digest = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()
                record += f"{file},sha256={digest},{len(raw)}\n"
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return path
