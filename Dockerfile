# The functions' images: `docker build --target api .` and `docker build --target worker .`, on x86_64 or arm64.
# Everything here works with the old builder too, which `sam build` uses: no mounts, no here-documents.
#
# No USER and no HEALTHCHECK: Lambda runs an image as a user of its own with the least rights, whatever it says, and
# watches over it by itself. Nothing is written but below /tmp.
# checkov:skip=CKV_DOCKER_2: see above
# checkov:skip=CKV_DOCKER_3: see above

# The packages of one function, as its lock has them. Wheels alone: nothing is compiled but bytecode, whose validity no
# start has to check, for nothing here changes afterwards.
FROM public.ecr.aws/lambda/python:3.13 AS api-packages
COPY requirements/api.txt tools/slim.py /build/
RUN python -m pip install --require-hashes --only-binary=:all: --no-deps --no-compile --no-cache-dir \
        --disable-pip-version-check --root-user-action=ignore --target . -r /build/api.txt \
    && python /build/slim.py . \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash . \
    && chmod -R a+rX .

FROM public.ecr.aws/lambda/python:3.13 AS worker-packages
COPY requirements/worker.txt tools/slim.py /build/
RUN python -m pip install --require-hashes --only-binary=:all: --no-deps --no-compile --no-cache-dir \
        --disable-pip-version-check --root-user-action=ignore --target . -r /build/worker.txt \
    && python /build/slim.py . \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash . \
    && chmod -R a+rX .

# The application's own modules: each function's doors, and the rooms behind them.
FROM public.ecr.aws/lambda/python:3.13 AS api-code
COPY app/__init__.py app/bootstrap.py app/lambda_api.py app/log_formats.py app/logs.py app/metrics.py app/settings.py \
    /var/task/app/
COPY app/domain /var/task/app/domain
COPY app/adapters /var/task/app/adapters
COPY app/api /var/task/app/api
RUN python -m compileall -q --invalidation-mode unchecked-hash . && chmod -R a+rX .

FROM public.ecr.aws/lambda/python:3.13 AS worker-code
COPY app/__init__.py app/bootstrap.py app/lambda_reconcile.py app/lambda_worker.py app/log_formats.py app/logs.py app/metrics.py \
    app/settings.py /var/task/app/
COPY app/domain /var/task/app/domain
COPY app/adapters /var/task/app/adapters
COPY app/worker /var/task/app/worker
RUN python -m compileall -q --invalidation-mode unchecked-hash . && chmod -R a+rX .

FROM public.ecr.aws/lambda/python:3.13 AS api
LABEL org.opencontainers.image.title="darkroom-api" \
      org.opencontainers.image.description="Darkroom behind an HTTP API: takes pictures, answers for records" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
COPY --from=api-packages /var/task /var/task
COPY --from=api-code /var/task /var/task
CMD ["app.lambda_api.handler"]
# An image whose function cannot start is none. The settings are of this step alone.
RUN AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none PYTHONDONTWRITEBYTECODE=1 \
    DARKROOM_STORAGE_URL=s3://none DARKROOM_METADATA_URL=dynamodb://none DARKROOM_QUEUE_URL=https://none.invalid/0/none \
    DARKROOM_SECRET=none-of-the-real-ones DARKROOM_ALLOW_ANONYMOUS=true \
    python -c "from app.lambda_api import handler"

FROM public.ecr.aws/lambda/python:3.13 AS worker
LABEL org.opencontainers.image.title="darkroom-worker" \
      org.opencontainers.image.description="Darkroom behind a queue: develops pictures, and keeps house on a schedule" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
COPY --from=worker-packages /var/task /var/task
COPY --from=worker-code /var/task /var/task
CMD ["app.lambda_worker.handler"]
RUN AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none PYTHONDONTWRITEBYTECODE=1 \
    DARKROOM_STORAGE_URL=s3://none DARKROOM_METADATA_URL=dynamodb://none DARKROOM_QUEUE_URL=https://none.invalid/0/none \
    DARKROOM_SECRET=none-of-the-real-ones DARKROOM_ALLOW_ANONYMOUS=true \
    python -c "from app.lambda_worker import handler; from app.lambda_reconcile import handler"
