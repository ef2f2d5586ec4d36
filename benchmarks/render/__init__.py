"""How fast pictures are processed, beside sharp and libvips: `make bench`."""
