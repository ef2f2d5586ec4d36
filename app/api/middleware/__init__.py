"""ASGI middleware, and the adapter for API Gateway."""
