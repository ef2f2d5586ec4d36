"""Adapters: the ports on files, SQLite, S3, SQS and DynamoDB."""
