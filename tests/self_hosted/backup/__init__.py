"""Backups of a self-hosted installation."""
