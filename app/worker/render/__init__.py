"""Variants: geometry, rendering and encoding."""
