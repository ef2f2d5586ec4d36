"""Files of objects in a data folder.

`originals/<id>` is the file `originals/<xx>/<id>`, `processed/<id>/<rest>` is `processed/<xx>/<id>/<rest>`, and
`processed/public/<id>/<rest>` is `processed/public/<xx>/<id>/<rest>`, where `<xx>` are the last two digits of the id.
The first digits are its date and would put a day's images into one folder.
"""

import re
from pathlib import Path

from app.domain.ids import is_id
from app.domain.keys import PUBLIC

#: Folder of temporary files, where no object is.
TEMPORARY = "tmp"
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}")
_KEY_LENGTH = 1024  # the limit of S3
_UNSHARDED = "_"  # folder for names that are not ids


def locate(key: str) -> Path:
    """Return the path of an object's file below the data folder. Raises `ValueError` if `key` is not a key."""
    first, *rest = key.split("/")
    if not rest or first == TEMPORARY or len(key) > _KEY_LENGTH or not all(map(_SEGMENT.fullmatch, (first, *rest))):
        raise ValueError(f"not a key: {key[:100]!r}")
    if key.startswith(PUBLIC):
        first = PUBLIC
        del rest[0]
    shard = rest[0][-2:] if is_id(rest[0]) else _UNSHARDED
    return Path(first, shard, *rest)
