"""Readers of upload bodies: multipart form, JSON and raw image."""
