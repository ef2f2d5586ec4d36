"""Definition of the table. Tests create it, and the template is checked against it."""

from typing import Any

KIND, ID = "Kind", "ID"
#: Value of `KIND` of API keys.
API_KEY = "key"
#: Value of `KIND` of webhook endpoints.
ENDPOINT = "webhook"


def access_table_definition(name: str) -> dict[str, Any]:
    """Build the arguments of `CreateTable`: on-demand capacity, no index."""
    return {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": attribute, "AttributeType": "S"} for attribute in (KIND, ID)],
        "KeySchema": [{"AttributeName": KIND, "KeyType": "HASH"}, {"AttributeName": ID, "KeyType": "RANGE"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
