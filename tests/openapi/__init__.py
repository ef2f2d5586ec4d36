"""OpenAPI document, checked by linters and used by a client generator."""
