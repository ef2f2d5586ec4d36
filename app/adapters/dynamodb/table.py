"""The table and its index: the one definition that tests create and the template is checked against."""

from typing import Any

#: The table's name unless a setting gives another.
TABLE = "ImageMetadata"
INDEX = "ByIndex"
KEY = "ImageID"
INDEX_KEY = "index_key"
INDEX_SORT = "index_sort"
#: Epoch seconds after which DynamoDB may remove an item: only on settled tombstones and idempotency items.
EXPIRES_AT = "expires_at"


def table_definition(name: str = TABLE) -> dict[str, Any]:
    """The arguments of `CreateTable`: on demand, one KEYS_ONLY index."""
    return {
        "TableName": name,
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": "S"} for attribute in (KEY, INDEX_KEY, INDEX_SORT)
        ],
        "KeySchema": [{"AttributeName": KEY, "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": INDEX,
                "KeySchema": [
                    {"AttributeName": INDEX_KEY, "KeyType": "HASH"},
                    {"AttributeName": INDEX_SORT, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }
