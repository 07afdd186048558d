"""Which environment variables are secrets, and keeping their values out of what is written."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

SECRETS = (
    "SLACK_BOT_TOKEN",
    "SLACK_APP_TOKEN",
    "SLACK_SIGNING_SECRET",
    "GITHUB_TOKEN",
    "GITHUB_WEBHOOK_SECRET",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "DATABASE_URL",
)
log = logging.getLogger("packlead")
SHORTEST = 6  # a shorter value would mask ordinary words


def mask(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return a text with every secret value in it replaced by its variable's name."""
    for name in SECRETS:
        value = environ.get(name, "")
        if len(value) >= SHORTEST and value in text:
            text = text.replace(value, f"[{name}]")
    return text


class Formatter(logging.Formatter):
    """A log line without secrets, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


def start_logging(level: str = "INFO") -> None:
    """Log to standard error, as the process manager expects it."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("slack_bolt", "slack_sdk", "aiohttp.access", "apscheduler", "botocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
