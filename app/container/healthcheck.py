"""Health check of the server image: exit status 0 if the server of this container answers `GET /healthz`."""

import http.client
import os
import sys


def main() -> int:
    """Ask the server and return the exit status."""
    host = os.environ.get("DARKROOM_HOST") or "127.0.0.1"
    connection = http.client.HTTPConnection(
        {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host),  # noqa: S104 - compared with, not listened on
        int(os.environ.get("DARKROOM_PORT") or 8000),
        timeout=4,
    )
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        return 0 if connection.getresponse().status == 200 else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
