"""Repair of records, and objects without a record."""
