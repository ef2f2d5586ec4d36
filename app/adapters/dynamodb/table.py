"""Definition of the table and its index. Tests create it, and the template is checked against it."""

from typing import Any

#: Default name of the table.
TABLE = "ImageMetadata"
INDEX = "ByIndex"
KEY = "ImageID"
INDEX_KEY = "index_key"
INDEX_SORT = "index_sort"
#: Epoch seconds after which DynamoDB may remove an item. Only finished tombstones and idempotency keys
#: have it.
EXPIRES_AT = "expires_at"


def table_definition(name: str = TABLE) -> dict[str, Any]:
    """Build the arguments of `CreateTable`: on-demand capacity, one KEYS_ONLY index."""
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
