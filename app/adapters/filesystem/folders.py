"""Walk the folders of a store, and detect symbolic links."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from app.domain.ports import ObjectInfo


def is_plain(folder: Path) -> bool:
    """Return True if no part of the path is a symbolic link, below a root that is none. A missing folder is plain."""
    return os.path.realpath(folder) == str(folder)


def walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield everything below the folder, and True for folders, which come after their contents. Follows no links."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder:
                yield from walk(Path(entry))
            yield Path(entry), is_folder


def read_info(key: str, found: os.stat_result) -> ObjectInfo:
    """Build the info of an object from the stat of its file."""
    return ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
