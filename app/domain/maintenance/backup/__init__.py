"""Backups of a self-hosted installation: create, verify, restore."""
