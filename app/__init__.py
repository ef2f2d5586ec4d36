"""Darkroom: image upload, processing and records behind one HTTP call."""

__version__ = "0.1.0"
