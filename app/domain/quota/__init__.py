"""Quotas of owners."""
