"""Sizes on demand: rendering, the line of requests, and the socket on which the API asks for them."""
