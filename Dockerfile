# Three images, for x86_64 and arm64: `server` for your own machine, `api` and `worker` for AWS Lambda.
# `docker build --target server .` builds one. No mounts and no here-documents: `sam build` uses the old builder, which
# supports neither.
#
# `--build-arg JXL=true` adds the encoder of JPEG XL to `server` and `worker`, with 75 MB. x86_64 only.
#
# `api` and `worker` have no USER and no HEALTHCHECK: Lambda runs an image as an unprivileged user and monitors it. They
# write only below /tmp.
# checkov:skip=CKV_DOCKER_2: the server has a HEALTHCHECK, the functions need none
# checkov:skip=CKV_DOCKER_3: the server has a USER, the functions need none

# The packages of one function from its lock, only wheels. Bytecode is not checked against its source at start
# (unchecked-hash), because files of an image never change.
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
ARG JXL=false
COPY requirements/jxl.txt /build/
RUN if [ "$JXL" = true ]; then \
        python -m pip install --require-hashes --only-binary=:all: --no-deps --no-compile --no-cache-dir \
            --disable-pip-version-check --root-user-action=ignore --target . -r /build/jxl.txt \
        && python -m compileall -q -j 0 --invalidation-mode unchecked-hash numpy pyjpegxl && chmod -R a+rX .; \
    fi

# The application's modules: the entry points of each function, and the packages that they import.
FROM public.ecr.aws/lambda/python:3.13 AS api-code
COPY app/__init__.py app/bootstrap_api.py app/lambda_api.py app/lambda_webhooks.py app/log_formats.py app/logs.py \
    app/metrics.py app/settings.py /var/task/app/
COPY app/bootstrap /var/task/app/bootstrap
COPY app/domain /var/task/app/domain
COPY app/adapters/__init__.py app/adapters/cloudfront.py app/adapters/render_function.py app/adapters/sqs.py \
    /var/task/app/adapters/
COPY app/adapters/dynamodb /var/task/app/adapters/dynamodb
COPY app/adapters/s3 /var/task/app/adapters/s3
COPY app/adapters/outbound /var/task/app/adapters/outbound
COPY app/api /var/task/app/api
RUN python -m compileall -q --invalidation-mode unchecked-hash . && chmod -R a+rX .

FROM public.ecr.aws/lambda/python:3.13 AS worker-code
COPY app/__init__.py app/bootstrap_worker.py app/lambda_reconcile.py app/lambda_render.py app/lambda_worker.py \
    app/linux.py app/log_formats.py app/logs.py app/metrics.py app/settings.py /var/task/app/
COPY app/bootstrap /var/task/app/bootstrap
COPY app/domain /var/task/app/domain
COPY app/adapters/__init__.py app/adapters/cloudfront.py app/adapters/render_function.py app/adapters/sqs.py \
    /var/task/app/adapters/
COPY app/adapters/dynamodb /var/task/app/adapters/dynamodb
COPY app/adapters/s3 /var/task/app/adapters/s3
COPY app/adapters/outbound /var/task/app/adapters/outbound
COPY app/worker /var/task/app/worker
RUN python -m compileall -q --invalidation-mode unchecked-hash . && chmod -R a+rX .

FROM public.ecr.aws/lambda/python:3.13 AS api
LABEL org.opencontainers.image.title="darkroom-api" \
      org.opencontainers.image.description="Darkroom behind an HTTP API: uploads and records of images; sends webhooks" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
COPY --from=api-packages /var/task /var/task
COPY --from=api-code /var/task /var/task
CMD ["app.lambda_api.handler"]
# Fail the build if the function cannot start. The settings apply to this step only.
RUN AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none PYTHONDONTWRITEBYTECODE=1 \
    DARKROOM_STORAGE_URL=s3://none DARKROOM_DATABASE_URL=dynamodb://none DARKROOM_QUEUE_URL=https://none.invalid/0/none \
    DARKROOM_SECRET=none-of-the-real-ones DARKROOM_ALLOW_ANONYMOUS=true \
    DARKROOM_WEBHOOK_QUEUE_URL=https://none.invalid/0/none \
    python -c "from app.lambda_api import handler; from app.lambda_webhooks import handler"

FROM public.ecr.aws/lambda/python:3.13 AS worker
LABEL org.opencontainers.image.title="darkroom-worker" \
      org.opencontainers.image.description="Darkroom behind a queue: processes images, renders sizes on demand, and reconciles on a schedule" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
COPY --from=worker-packages /var/task /var/task
COPY --from=worker-code /var/task /var/task
CMD ["app.lambda_worker.handler"]
RUN AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none PYTHONDONTWRITEBYTECODE=1 \
    DARKROOM_STORAGE_URL=s3://none DARKROOM_DATABASE_URL=dynamodb://none DARKROOM_QUEUE_URL=https://none.invalid/0/none \
    DARKROOM_SECRET=none-of-the-real-ones DARKROOM_ALLOW_ANONYMOUS=true \
    python -c "from app.lambda_worker import handler; from app.lambda_reconcile import handler; \
               from app.lambda_render import handler"

# The server. Packages and code belong to root and are read-only; everything it writes is below /data and /tmp.
FROM docker.io/library/python:3.13-slim-trixie AS server-packages
COPY requirements/server.txt /build/
RUN python -m pip install --require-hashes --only-binary=:all: --no-deps --no-compile --no-cache-dir \
        --disable-pip-version-check --root-user-action=ignore --target /srv/darkroom/packages -r /build/server.txt \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /srv/darkroom/packages \
    && chmod -R a+rX /srv/darkroom
ARG JXL=false
COPY requirements/jxl.txt /build/
RUN if [ "$JXL" = true ]; then \
        python -m pip install --require-hashes --only-binary=:all: --no-deps --no-compile --no-cache-dir \
            --disable-pip-version-check --root-user-action=ignore --target /srv/darkroom/packages -r /build/jxl.txt \
        && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /srv/darkroom/packages \
        && chmod -R a+rX /srv/darkroom; \
    fi

FROM docker.io/library/python:3.13-slim-trixie AS server-code
COPY app /srv/darkroom/app
COPY darkroom /srv/darkroom/darkroom
COPY darkroom_server.dist-info /srv/darkroom/darkroom_server.dist-info
RUN rm -f /srv/darkroom/app/lambda_*.py /srv/darkroom/app/metrics.py \
    && rm -rf /srv/darkroom/app/adapters/s3 /srv/darkroom/app/adapters/dynamodb /srv/darkroom/app/adapters/sqs.py \
        /srv/darkroom/app/adapters/cloudfront.py /srv/darkroom/app/adapters/render_function.py \
    && python -m compileall -q --invalidation-mode unchecked-hash /srv/darkroom/app /srv/darkroom/darkroom \
    && mkdir /srv/darkroom/bin \
    && printf '#!/usr/bin/env python\nfrom darkroom.__main__ import main\n\nmain()\n' >/srv/darkroom/bin/darkroom \
    && chmod -R a+rX /srv/darkroom && chmod a+x /srv/darkroom/bin/darkroom \
    && mkdir -m 0700 /data && chown 10001:10001 /data

FROM docker.io/library/python:3.13-slim-trixie AS server
LABEL org.opencontainers.image.title="darkroom" \
      org.opencontainers.image.description="Image upload and processing service on one machine" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
COPY --from=server-packages /srv/darkroom /srv/darkroom
COPY --from=server-code /srv/darkroom /srv/darkroom
COPY --from=server-code --chown=10001:10001 /data /data
ENV PYTHONPATH=/srv/darkroom:/srv/darkroom/packages \
    PATH=/srv/darkroom/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    DARKROOM_HOST=0.0.0.0 \
    DARKROOM_STORAGE_URL=file:/data \
    DARKROOM_DATABASE_URL=sqlite:/data/darkroom.db
WORKDIR /srv/darkroom
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-m", "app.container.healthcheck"]
ENTRYPOINT ["python", "-m", "app.container.init"]
