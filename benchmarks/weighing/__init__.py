"""Parts of the comparison of bytes at equal quality: `benchmarks.weight`."""
