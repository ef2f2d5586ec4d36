"""Formats: containers, frames and damaged files, up to a decoded image."""
