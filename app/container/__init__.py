"""Entry points of the server image: its first process and its health check."""
