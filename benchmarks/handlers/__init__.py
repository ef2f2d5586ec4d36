"""Handlers that `benchmarks.cold_start` mounts into the images, to compare ours with."""
