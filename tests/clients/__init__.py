"""Uploads by the HTTP clients that people use, real ones and recorded ones."""
