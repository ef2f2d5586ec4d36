#!/bin/sh
# Start the server. HOST, PORT and DATA come through the environment, so that a path may hold spaces and quotes.
set -eu

case ${PORT:-} in
    *[!0-9]* | ??????*) echo "PORT=$PORT is not a port number." >&2; exit 2 ;;
esac

# Without them the settings decide: 127.0.0.1, 8000 and ./data by default.
[ -z "${HOST:-}" ] || export DARKROOM_HOST="$HOST"
[ -z "${PORT:-}" ] || export DARKROOM_PORT="$PORT"
if [ -n "${DATA:-}" ]; then
    case $DATA in "~/"*) DATA=$HOME/${DATA#"~/"} ;; esac
    export DARKROOM_STORAGE_URL="file:$DATA" DARKROOM_DATABASE_URL="sqlite:$DATA/darkroom.db"
fi

exec .venv/bin/python -m app.main
