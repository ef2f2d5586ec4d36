"""Program that runs the API in the self-hosted server, on an inherited socket."""

import json
import socket
import sys
from pathlib import Path

from app import logs
from app.api.app import create_app
from app.api.middleware import lingering_close
from app.domain.limits import Limits
from app.server.capacity import Bounds
from app.server.run import serve
from tests.api.service import make_services
from tests.sides import SIDES


def main() -> None:
    """Run `live_server <file descriptor> <setup as JSON>`."""
    descriptor, setup = int(sys.argv[1]), json.loads(sys.argv[2])
    logs.configure("INFO", "test")
    lingering_close.SECONDS = setup["drain_seconds"]
    with SIDES[setup["side"]](Path(setup["data"])) as side:
        app = create_app(make_services(side, Limits(max_upload_bytes=setup["max_upload_bytes"])))
        serve(app, socket.socket(fileno=descriptor), Bounds(**setup["bounds"]))


if __name__ == "__main__":
    main()
