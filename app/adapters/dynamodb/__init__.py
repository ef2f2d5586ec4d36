"""Records in DynamoDB: one table, one index, pointer items written with their image in one transaction."""

from app.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from app.adapters.dynamodb.images import DynamoImages
from app.adapters.dynamodb.recount import Recounts
from app.adapters.dynamodb.table import TABLE, table_definition

__all__ = ["TABLE", "DynamoIdempotencyKeys", "DynamoImages", "Recounts", "table_definition"]
