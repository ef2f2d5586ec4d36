"""Migrations that count the images of each owner."""

# `counters` holds the counts of each owner's images (see `stats.count`), one row for each that is not zero.
COUNTERS = """
CREATE TABLE counters (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (owner, name)
) WITHOUT ROWID;
INSERT INTO counters (owner, name, value)
WITH counted AS (
    SELECT
        json_extract(document, '$.owner') AS owner,
        json_extract(document, '$.status') AS status,
        json_extract(document, '$.trashed_at') IS NOT NULL AS trashed,
        json_extract(document, '$.bytes') AS original,
        json_extract(document, '$.recipe_id') AS recipe,
        (
            SELECT coalesce(sum(size), 0) FROM (
                SELECT max(json_extract(value, '$.bytes')) AS size
                FROM json_each(document, '$.variants') GROUP BY json_extract(value, '$.file')
            )
        ) AS variants,
        (
            SELECT json_extract(value, '$.bytes') FROM json_each(document, '$.variants')
            ORDER BY json_extract(value, '$.width') * json_extract(value, '$.height') DESC,
            json_extract(value, '$.bytes') LIMIT 1
        ) AS largest
    FROM images
    WHERE buried = 0
    AND (json_extract(document, '$.upload_expires_at') IS NULL OR json_extract(document, '$.arrived_at') IS NOT NULL)
)
SELECT owner, name, sum(amount) FROM (
    SELECT owner, status AS name, 1 AS amount FROM counted WHERE NOT trashed
    UNION ALL SELECT owner, 'original_bytes', original FROM counted WHERE NOT trashed
    UNION ALL SELECT owner, 'variant_bytes', variants FROM counted WHERE NOT trashed
    UNION ALL SELECT owner, 'saved_bytes', max(0, original - largest) FROM counted
        WHERE NOT trashed AND status = 'ready' AND largest IS NOT NULL
    UNION ALL SELECT owner, 'recipe:' || recipe, 1 FROM counted
        WHERE NOT trashed AND status = 'ready' AND recipe IS NOT NULL
    UNION ALL SELECT owner, 'trashed', 1 FROM counted WHERE trashed
    UNION ALL SELECT owner, 'trashed_bytes', original + variants FROM counted WHERE trashed
) GROUP BY owner, name HAVING sum(amount) <> 0
"""

# Bytes and number of the images that count towards an owner's quota: all records.
USAGE = """
CREATE TABLE usage (
    owner TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    images INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO usage (owner, bytes, images)
    SELECT json_extract(document, '$.owner'), sum(json_extract(document, '$.bytes')), count(*) FROM images
    WHERE buried = 0 GROUP BY 1
"""

# Counters of the formats of variants (see `stats.count`).
FORMATS = """
INSERT INTO counters (owner, name, value)
WITH variant AS (
    SELECT
        images.id AS image,
        json_extract(document, '$.owner') AS owner,
        json_extract(document, '$.bytes') AS original,
        json_extract(value, '$.format') AS format,
        json_extract(value, '$.file') AS file,
        json_extract(value, '$.bytes') AS size,
        row_number() OVER (
            PARTITION BY images.id, json_extract(value, '$.format')
            ORDER BY json_extract(value, '$.width') * json_extract(value, '$.height') DESC,
            json_extract(value, '$.bytes')
        ) AS place
    FROM images, json_each(document, '$.variants')
    WHERE buried = 0 AND json_extract(document, '$.status') = 'ready'
    AND json_extract(document, '$.trashed_at') IS NULL
    AND (json_extract(document, '$.upload_expires_at') IS NULL OR json_extract(document, '$.arrived_at') IS NOT NULL)
)
SELECT owner, name, sum(amount) FROM (
    SELECT owner, 'format:' || format || ':images' AS name, 1 AS amount FROM variant WHERE place = 1
    UNION ALL SELECT owner, 'format:' || format || ':original_bytes', original FROM variant WHERE place = 1
    UNION ALL SELECT owner, 'format:' || format || ':largest_bytes', size FROM variant WHERE place = 1
    UNION ALL SELECT owner, 'format:' || format || ':variant_bytes', size FROM (
        SELECT DISTINCT image, owner, format, file, size FROM variant
    )
) GROUP BY owner, name HAVING sum(amount) <> 0
"""
