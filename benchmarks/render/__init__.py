"""How fast pictures are developed, beside sharp and libvips: `make bench`."""
