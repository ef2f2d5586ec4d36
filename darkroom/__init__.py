"""Client and command line of Darkroom, the image upload and processing service."""

__version__ = "0.1.0"
