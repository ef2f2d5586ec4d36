#!/bin/sh
# Serve on HOST and PORT. They and DATA come through the environment, so that a path may hold spaces and quotes.
set -eu

case ${PORT:=8000} in
    *[!0-9]* | ??????*) echo "PORT=$PORT is not a port number." >&2; exit 1 ;;
esac

[ -z "${HOST:-}" ] || export DARKROOM_HOST="$HOST"
export DARKROOM_PORT="$PORT"

# Without DATA the settings decide, and their default is ./data.
if [ -n "${DATA:-}" ]; then
    case $DATA in "~/"*) DATA=$HOME/${DATA#"~/"} ;; esac
    export DARKROOM_STORAGE_URL="file:$DATA" DARKROOM_METADATA_URL="sqlite:$DATA/darkroom.db"
fi

.venv/bin/python - "${DARKROOM_HOST:=127.0.0.1}" "$PORT" <<'CHECK' || exit 1
import socket
import sys

host, port = sys.argv[1], int(sys.argv[2])
with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        free = "choose another, such as: make run PORT=8080"
        sys.exit(f"Port {port} of {host} cannot be used ({getattr(error, 'strerror', None) or error}): {free}")
CHECK

exec .venv/bin/python -m uvicorn app.main:app --host "$DARKROOM_HOST" --port "$PORT" \
    --no-server-header --no-access-log --no-proxy-headers --timeout-graceful-shutdown 5
