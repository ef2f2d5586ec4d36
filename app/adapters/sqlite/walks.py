"""Walks over many records, in pages: no statement stays open between two records."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from app.adapters.sqlite.database import Database
from app.adapters.sqlite.entries import ARRIVED_TICKET, BAND, OPEN_TICKET, TRASH
from app.domain.models import Image
from app.domain.work import LONGEST_DELAY

_PAGE = 500
_ABOVE = "\U0010ffff"  # after every id
_EVER = 1e12  # seconds, beyond every date

_DUE = "SELECT id, due FROM images WHERE distant = {} AND due IS NOT NULL AND (due, id) > (:due, :id) AND due <= :until"
_DUE_ORDINARY = _DUE.format(0) + " ORDER BY due, id LIMIT :page"
_DUE_ALL = f"{_DUE.format(0)} UNION ALL {_DUE.format(1)} ORDER BY due, id LIMIT :page"

_OWNED = "SELECT image FROM entries WHERE owner = :owner AND kind = '{}' AND value = '{}' AND image > :id"
_OWNED_ALL = " UNION ALL ".join(_OWNED.format(*each) for each in (("", ""), OPEN_TICKET, ARRIVED_TICKET, (TRASH, "")))
_OWNED_ALL += " ORDER BY image LIMIT :page"

_BANDS = (
    "SELECT entries.image, json_extract(images.document, '$.phash') FROM entries"
    " JOIN images ON images.id = entries.image AND images.buried = 0"
    " WHERE entries.owner = ? AND entries.kind = ? AND entries.value = ? ORDER BY entries.image DESC LIMIT ?"
)

_RECORDS = "SELECT id, document FROM images WHERE buried = 0 AND id > :id ORDER BY id LIMIT :page"


def due(database: Database, until: datetime) -> Iterator[str]:
    """See `ImageRepository.due`. One pass: a record is met again only if its task is moved on and still due."""
    now = until.timestamp()
    yield from _due(database, _DUE_ALL, -_EVER, now)
    yield from _due(database, _DUE_ORDINARY, now + LONGEST_DELAY.total_seconds(), _EVER)


def _due(database: Database, statement: str, low: float, until: float) -> Iterator[str]:
    """Yield the ids of records due after `low`, until `until`."""
    values = {"due": low, "id": _ABOVE, "until": until}
    for image_id, _ in _pages(database, statement, values, lambda row: {"id": row[0], "due": row[1]}):
        yield image_id


def owned(database: Database, owner: str) -> Iterator[str]:
    """See `ImageRepository.owned`. Exact, and each id once: a record has one of the four kinds of entries."""
    for (image_id,) in _pages(database, _OWNED_ALL, {"owner": owner, "id": ""}, lambda row: {"id": row[0]}):
        yield image_id


def bands(database: Database, owner: str, wanted: Collection[str], limit: int) -> Iterator[Sequence[tuple[str, str]]]:
    """See `ImageRepository.find_bands`. Exact."""
    for band in wanted:
        with database.reading() as connection:
            rows = connection.execute(_BANDS, (owner, BAND, band, limit)).fetchall()
        yield rows


def scan(database: Database, after: str | None) -> Iterator[Image]:
    """See `ImageRepository.scan`. In the order of ids."""
    for _, document in _pages(database, _RECORDS, {"id": after or ""}, lambda row: {"id": row[0]}):
        yield Image.model_validate_json(document)


def _pages(
    database: Database, statement: str, values: dict[str, Any], position: Callable[[Any], dict[str, Any]]
) -> Iterator[Any]:
    """Yield the rows of a statement, page by page; the values of the next page hold the `position` of the last row."""
    while True:
        with database.reading() as connection:
            rows = connection.execute(statement, {**values, "page": _PAGE}).fetchall()
        yield from rows
        if len(rows) < _PAGE:
            return
        values = {**values, **position(rows[-1])}
