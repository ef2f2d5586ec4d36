"""API keys and webhook endpoints in SQLite tables."""
