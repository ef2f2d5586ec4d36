"""Tests of the repository: documentation, locks, make, imports, style."""
