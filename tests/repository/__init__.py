"""Promises of the repository itself: its docs, its locks, its make, who imports whom."""
