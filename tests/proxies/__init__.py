"""The proxies and the unit of docs/server.md, run and judged as they stand there."""
