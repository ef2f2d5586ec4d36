"""Handlers that `benchmarks.cold_start` puts into the images beside ours."""
