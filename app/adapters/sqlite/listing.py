"""Pages of records, read along the index without sorting."""

import sqlite3

from app.adapters.sqlite.documents import StoredDocument
from app.adapters.sqlite.entries import TRASH, Entry
from app.domain.ports import ListQuery, Page, StoredImage

_MATCHES = "{0}.owner = ? AND {0}.kind = ? AND {0}.value = ?"
_RANGE = "walked.image >= ? AND walked.image < ? ORDER BY walked.image {0} LIMIT ?"
_DIRECTIONS = {True: "DESC", False: "ASC"}
_BEYOND = "\U0010ffff"  # after every id
#: Number of entries to look ahead to find the filter with the fewest matches.
_PROBE = 256


def page(connection: sqlite3.Connection, query: ListQuery) -> Page[StoredImage]:
    """See `ImageRepository.list_stored`. One statement reads the page, so it shows one state of the database."""
    if query.limit < 1:
        raise ValueError("a page has at least one item")
    filters = _filters(query)
    bounds = _bounds(query)
    walked, *tested = _by_rarity(connection, query, filters, bounds) if len(filters) > 1 else filters

    statement = ["SELECT walked.image, images.document FROM entries AS walked"]
    values: list[object] = []
    for number, (kind, value) in enumerate(tested):
        name = f"tested{number}"
        statement += [f"CROSS JOIN entries AS {name} ON {name}.image = walked.image AND", _MATCHES.format(name)]
        values += [query.owner, kind, value]
    statement += ["CROSS JOIN images ON images.id = walked.image WHERE", _MATCHES.format("walked"), "AND"]
    statement += [_RANGE.format(_DIRECTIONS[query.descending])]
    values += [query.owner, *walked, *bounds, query.limit + 1]

    rows = connection.execute(" ".join(statement), values).fetchall()
    shown = rows[: query.limit]
    return Page([StoredDocument(document) for _, document in shown], shown[-1][0] if len(rows) > query.limit else None)


def _filters(query: ListQuery) -> list[Entry]:
    """Return the entries that an image of the list has."""
    wanted = {"status": query.status, "type": query.content_type, "visibility": query.visibility}
    filters = [(kind, str(value)) for kind, value in wanted.items() if value is not None]
    filters += [("tag", tag) for tag in dict.fromkeys(query.tags)]
    place = TRASH if query.trashed else ""
    return [(place + kind, value) for kind, value in filters or [("", "")]]


def _bounds(query: ListQuery) -> tuple[str, str]:
    """Return the lowest id of the page, and an exclusive upper bound."""
    low, high = query.since or "", query.until or _BEYOND
    if query.after is not None:
        if query.descending:
            high = min(high, query.after)
        else:
            low = max(low, query.after + "\0")  # the very next text
    return low, high


def _by_rarity(
    connection: sqlite3.Connection, query: ListQuery, filters: list[Entry], bounds: tuple[str, str]
) -> list[Entry]:
    """Return the filters, the rarest one first: its entries are furthest apart at the start of the page, so it has the
    fewest to read, and the next ones rule out the most of them."""
    parts = ["SELECT walked.image FROM entries AS walked WHERE", _MATCHES.format("walked"), "AND"]
    parts += [_RANGE.format(_DIRECTIONS[query.descending]), "OFFSET ?"]
    statement = " ".join(parts)
    end = "" if query.descending else _BEYOND

    def reach(each: Entry) -> str:
        row = connection.execute(statement, (query.owner, *each, *bounds, 1, _PROBE)).fetchone()
        return str(row[0]) if row else end

    return sorted(filters, key=reach, reverse=not query.descending)
