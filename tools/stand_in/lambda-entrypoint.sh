#!/bin/sh
# As in AWS's base image: the only argument is the handler; outside Lambda the emulator runs it.
if [ $# -ne 1 ]; then
    echo "entrypoint requires the handler name to be the first argument" >&2
    exit 142
fi
export _HANDLER="$1"
if [ -z "${AWS_LAMBDA_RUNTIME_API}" ]; then
    exec /usr/local/bin/aws-lambda-rie python -m awslambdaric "$1"
fi
exec python -m awslambdaric "$1"
