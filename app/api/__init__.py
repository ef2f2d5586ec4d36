"""HTTP API: request bodies, routes, views and problem documents on FastAPI."""
