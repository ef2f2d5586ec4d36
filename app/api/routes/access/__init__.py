"""Routes for API keys."""
