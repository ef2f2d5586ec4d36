"""Migrations that are too long for the module of the schema."""
