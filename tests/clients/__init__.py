"""Uploads with common HTTP clients, real and recorded."""
