"""Commands for images that are stored."""
