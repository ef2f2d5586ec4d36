"""Check of the database file."""

import sqlite3
from pathlib import Path


def find_damage(file: Path) -> str | None:
    """Return the first damage of a database file, or None. Reads the whole file, and changes nothing."""
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
        try:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else str(found)
