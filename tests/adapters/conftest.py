"""Fixtures that tests of adapters share with those of faults."""

from tests.faults.conftest import hurried

__all__ = ["hurried"]
