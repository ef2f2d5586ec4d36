"""One JSON line an event, on standard error, the same from every door."""

import logging

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter


def configure(level: str) -> None:
    """Send what the `app` loggers say at `level` and above to standard error, `extra` fields included."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        LambdaPowertoolsFormatter(
            log_record_order=["timestamp", "level", "name", "message"],
            name="%(name)s",
            location=None,
            utc=True,
            use_rfc3339=True,
        )
    )
    logger = logging.getLogger("app")
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False
