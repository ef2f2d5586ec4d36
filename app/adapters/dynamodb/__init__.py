"""Records in DynamoDB: one table, one index, pointer items written with their image in one transaction.

API keys have a table of their own: see `access`.
"""

from app.adapters.dynamodb.images import DynamoImages
from app.adapters.dynamodb.table import TABLE, table_definition

__all__ = ["TABLE", "DynamoImages", "table_definition"]
