"""Responses: records with urls, lists, and HTML to embed."""
