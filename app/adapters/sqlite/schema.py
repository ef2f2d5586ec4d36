"""Tables of the database, and their migrations."""

import sqlite3

from app.adapters.sqlite.migrations.counts import COUNTERS, FORMATS, USAGE
from app.domain.errors import ConfigurationError
from app.domain.images.similar import is_flat

#: Application id in the header of the file: "Dark" in ASCII.
APPLICATION_ID = 0x4461726B

# `entries` is the index of all lists: one row per image and kind, read in the order of ids without sorting.
# Kinds are '' (all images of the owner), 'status', 'type', 'tag', 'visibility', the same after 'trash:' for trashed
# images, 'ticket' (open upload tickets), 'arrived' (tickets whose bytes have arrived and are not processed yet),
# 'expected' (both kinds of tickets, by the hash of their bytes), 'band' for the parts of a perceptual hash, and 'copy'
# (further images of the same bytes).
# `hashes` points from bytes to their record. `images` also holds tombstones.
_FIRST = """
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    buried INTEGER NOT NULL DEFAULT 0,
    unsettled INTEGER NOT NULL DEFAULT 0,
    expires_at REAL
);
CREATE INDEX images_unsettled ON images (id) WHERE unsettled = 1;
CREATE INDEX images_expiring ON images (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE entries (
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    image TEXT NOT NULL,
    PRIMARY KEY (owner, kind, value, image)
) WITHOUT ROWID;
CREATE TABLE hashes (
    owner TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    image TEXT NOT NULL,
    PRIMARY KEY (owner, sha256)
) WITHOUT ROWID;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL,
    due REAL NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0,
    receipt TEXT,
    dead INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX messages_due ON messages (due, id) WHERE dead = 0;
CREATE INDEX messages_receives ON messages (receives, due) WHERE dead = 0;
CREATE INDEX messages_dead ON messages (id) WHERE dead = 1;
"""

# Upload tickets and tombstones of unfinished deletes never expire by themselves: `expires_at` is for tombstones of
# finished deletes only. Open tickets are counted by entries of kind 'ticket'.
_TICKETS = """
UPDATE images SET expires_at = NULL WHERE buried = 0 OR unsettled = 1;
INSERT OR IGNORE INTO entries (owner, kind, value, image)
    SELECT json_extract(document, '$.owner'), 'ticket', '', id FROM images
    WHERE buried = 0 AND json_extract(document, '$.expires_at') IS NOT NULL
"""

# Fields renamed since 0.1.0. The rights were part of `exif`; images that have never been processed have none.
_RENAMED_FIELDS = """
UPDATE images SET document = json_remove(
    json_set(
        document,
        '$.declared_content_type', json_extract(document, '$.declared_type'),
        '$.upload_expires_at', json_extract(document, '$.expires_at'),
        '$.privacy_report', json_extract(document, '$.privacy'),
        '$.rendering_id', json_extract(document, '$.rendering'),
        '$.rights', json(
            CASE WHEN json_extract(document, '$.privacy') IS NOT NULL THEN json_object(
                'artist', json_extract(document, '$.exif.artist'),
                'copyright', json_extract(document, '$.exif.copyright')
            ) END
        )
    ),
    '$.declared_type', '$.expires_at', '$.privacy', '$.rendering', '$.exif.artist', '$.exif.copyright'
)
WHERE buried = 0
"""

# `due` is the time of the next task, NULL if there is none, and `distant` is 1 if all tasks are distant (see `Work`).
# The documents stay as they are, because `Image` and `Tombstone` derive the tasks. Pending images and unfinished
# deletes are due at once, superseded renderings 24 hours after the update that replaced them. Tickets are pending.
_WORK = """
ALTER TABLE images RENAME COLUMN unsettled TO distant;
ALTER TABLE images ADD COLUMN due REAL;
INSERT OR IGNORE INTO entries (owner, kind, value, image)
    SELECT json_extract(document, '$.owner'), 'arrived', '', id FROM images
    WHERE distant = 1 AND buried = 0
    AND json_extract(document, '$.upload_expires_at') IS NOT NULL
    AND json_extract(document, '$.arrived_at') IS NOT NULL;
UPDATE images SET
    due = CASE
        WHEN buried = 1 OR json_extract(document, '$.status') = 'pending' THEN 0
        ELSE coalesce(strftime('%s', json_extract(document, '$.updated_at')) + 86400, 0)
    END,
    distant = 0
WHERE distant = 1;
DROP INDEX images_unsettled;
CREATE INDEX images_due ON images (distant, due, id) WHERE due IS NOT NULL
"""

# Entries for lists by visibility, for the tickets of known bytes, and for look-alikes (see `similar.bands`).
_FOUND = """
INSERT OR IGNORE INTO entries (owner, kind, value, image)
    SELECT json_extract(document, '$.owner'), 'visibility', coalesce(json_extract(document, '$.visibility'), 'private'),
    id FROM images
    WHERE buried = 0 AND json_extract(document, '$.upload_expires_at') IS NULL;
INSERT OR IGNORE INTO entries (owner, kind, value, image)
    SELECT json_extract(document, '$.owner'), 'expected', json_extract(document, '$.sha256'), id FROM images
    WHERE buried = 0 AND json_extract(document, '$.upload_expires_at') IS NOT NULL
    AND json_extract(document, '$.sha256') IS NOT NULL;
INSERT OR IGNORE INTO entries (owner, kind, value, image)
    SELECT json_extract(document, '$.owner'), 'band',
    part.value || ':' || substr(json_extract(document, '$.phash'), 1 + 4 * part.value, 4), images.id
    FROM images, json_each('[0,1,2,3]') AS part
    WHERE buried = 0 AND json_extract(document, '$.upload_expires_at') IS NULL
    AND json_extract(document, '$.phash') IS NOT NULL AND NOT is_flat(json_extract(document, '$.phash'))
"""

# Idempotency keys of the last day (see `KeyEntry`).
_IDEMPOTENCY_KEYS = """
CREATE TABLE idempotency_keys (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    document TEXT NOT NULL,
    expires_at REAL NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_expiring ON idempotency_keys (expires_at)
"""

# Messages know their owner; '' if it is unknown. `turns` holds the number of an owner's last turn, and the time until
# which the owner is behind the others.
_TURNS = """
ALTER TABLE messages ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN bulk INTEGER NOT NULL DEFAULT 0;
CREATE INDEX messages_turn ON messages (bulk, owner, due, id) WHERE dead = 0;
CREATE TABLE turns (
    owner TEXT PRIMARY KEY,
    served INTEGER NOT NULL,
    behind_until REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX turns_served ON turns (served)
"""

# API keys (see `StoredKey`). `last_used` is a day.
_API_KEYS = """
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    last_used TEXT
) WITHOUT ROWID
"""

# Webhook endpoints (see `WebhookEndpoint`).
_WEBHOOK_ENDPOINTS = """
CREATE TABLE webhook_endpoints (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL
) WITHOUT ROWID
"""

# Events of webhooks, their deliveries (see `Delivery`) and the failures of endpoints (see `EndpointHealth`). `due` is
# the time of the next attempt, after the end of the lease of the present one.
_DELIVERIES = """
CREATE TABLE webhook_events (
    id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    document TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX webhook_events_created ON webhook_events (created);
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    endpoint TEXT NOT NULL,
    image TEXT,
    status TEXT NOT NULL,
    due REAL,
    finished REAL,
    document TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (endpoint, due, id) WHERE status = 'pending';
CREATE INDEX deliveries_endpoint ON deliveries (endpoint, id);
CREATE INDEX deliveries_status ON deliveries (status, id);
CREATE INDEX deliveries_image ON deliveries (image, id);
CREATE INDEX deliveries_finished ON deliveries (finished) WHERE finished IS NOT NULL;
CREATE TABLE endpoint_health (
    endpoint TEXT PRIMARY KEY,
    probe_at REAL,
    document TEXT NOT NULL
) WITHOUT ROWID
"""

#: Migration from each version to the next. Append only: released migrations never change.
MIGRATIONS = (
    _FIRST, _TICKETS, _RENAMED_FIELDS, _WORK, _FOUND, COUNTERS, _IDEMPOTENCY_KEYS, _TURNS, _API_KEYS,
    _WEBHOOK_ENDPOINTS, _DELIVERIES, USAGE, FORMATS,
)  # fmt: skip


def check(connection: sqlite3.Connection, name: str) -> int:
    """Return the version of the database's schema, 0 if it is empty.

    Raises `ConfigurationError` for a database that is another program's, damaged, or from a newer Darkroom.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise refused(name, f"it is damaged ({verdict})")
    if application not in (0, APPLICATION_ID) or (tables and application == 0):
        raise refused(name, "it belongs to another program")
    if version > len(MIGRATIONS):
        raise refused(name, f"it was written by a newer Darkroom (schema {version}; this one knows {len(MIGRATIONS)})")
    return int(version)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Migrate the schema from `version` to the newest, within the open transaction."""
    connection.create_function("is_flat", 1, is_flat, deterministic=True)
    for script in MIGRATIONS[version:]:
        for statement in script.split(";"):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS):d}")


def refused(name: str, why: str) -> ConfigurationError:
    """Return the error for a database that must not be changed."""
    return ConfigurationError(
        f"The database {name} cannot be used: {why}. It has been left as it is; restore a copy, or set "
        "DARKROOM_DATABASE_URL to another file."
    )
