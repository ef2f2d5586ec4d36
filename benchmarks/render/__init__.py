"""Benchmark of rendering, with sharp and libvips: `make bench`."""
