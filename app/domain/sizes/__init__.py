"""Sizes on demand: queries, snapping, names and signatures. Nothing here renders."""
