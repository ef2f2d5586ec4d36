"""Rate limits in responses."""
