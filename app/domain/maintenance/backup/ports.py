"""Ports of backups: database files, and the layout of a data folder."""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol

#: Return the path of an object's file below a data folder. Raises `ValueError` for a text that is no key.
Layout = Callable[[str], Path]


class DatabaseFiles(Protocol):
    """Databases as files. Each method raises `ConfigurationError` for a file that is damaged, another program's, or of
    a newer version, and `Full` or `Unavailable` where the system fails."""

    @property
    def newest_schema(self) -> int:
        """Version of the newest schema that this version of Darkroom knows."""
        ...

    def copy(self, source: Path, target: Path) -> int:
        """Copy a database that may be in use to a new file, durably, as it is at one moment. Return the version of its
        schema, which the copy keeps."""
        ...

    def records(self, file: Path) -> Iterator[tuple[str, str]]:
        """Yield the id and the stored document of each record in a file that nobody writes to. The file is not
        changed."""
        ...

    def follow(self, copy: Path, live: Path, image_ids: Collection[str]) -> Mapping[str, str | None] | None:
        """Bring these records of the copy to their present state in the live database: changed, deleted or removed.

        Return the document of each record that differed, None for one that no longer exists. Return None if the schema
        is older than this version's, whose records cannot be changed.
        """
        ...

    def check(self, file: Path) -> int:
        """Check the integrity of a file that nobody writes to, without changing it. Return the version of its
        schema."""
        ...
