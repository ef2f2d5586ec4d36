"""Uploads, upload tickets, and what users say about an image."""
