"""Stored images: look-up, lists, deletion, urls and events."""
