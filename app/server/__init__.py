"""The HTTP server of a self-hosted installation: uvicorn on h11, with bounds on what a client can hold."""
