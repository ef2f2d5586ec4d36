"""Attention, placeholders and colors of an image."""
