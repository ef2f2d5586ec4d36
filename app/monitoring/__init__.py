"""Figures for Prometheus, of a self-hosted installation.

Server and worker are two processes. Each counts in memory, and a scrape of the server reads the worker's figures over a
socket in the data folder. No label holds an id, a name, an address or an owner, and every label has a bounded number of
values.
"""
