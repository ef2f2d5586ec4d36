"""Servers that the benchmark of uploads compares."""
