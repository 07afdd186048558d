"""Which environment variables are secrets, and keeping their values out of what is written."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

SECRETS = (
    "SLACK_BOT_TOKEN",
    "SLACK_APP_TOKEN",
    "SLACK_SIGNING_SECRET",
    "GITHUB_TOKEN",
    "GITHUB_WEBHOOK_SECRET",
    "PACKLEAD_DEPLOYS_SECRET",
    "PACKLEAD_METRICS_TOKEN",
    "PACKLEAD_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "DATABASE_URL",
)
log = logging.getLogger("packlead")
SHORTEST = 6  # a shorter value would mask ordinary words
about: ContextVar[str] = ContextVar("about", default="")  # id of the operation that is worked on


def mask(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return a text with every secret value in it replaced by its variable's name."""
    for name, value in _values(environ):
        if len(value) >= SHORTEST and value in text:
            text = text.replace(value, f"[{name}]")
    return text


def without(environ: Mapping[str, str] = os.environ, kept: Collection[str] = ()) -> dict[str, str]:
    """Return an environment for a child, which gets no secret but those that it needs."""
    return {k: v for k, v in environ.items() if k not in SECRETS or k in kept}


def _values(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in SECRETS:
        if value := environ.get(name, ""):
            yield name, value
    try:
        password = urlsplit(environ.get("DATABASE_URL", "")).password or ""
    except ValueError:  # no URL: then it is masked as a whole, above
        return
    for form in (password, unquote(password)):  # as it is written, and as a driver says it
        yield "DATABASE_URL's password", form


class Formatter(logging.Formatter):
    """A log line without secrets, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


class JsonFormatter(logging.Formatter):
    """A log line as one JSON object, with the operation that it is about; without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "at": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": mask(record.getMessage()),
            "operation": about.get(),
            "trace": mask(self.formatException(record.exc_info)) if record.exc_info else "",
        }
        return json.dumps({name: value for name, value in told.items() if value})


def start_logging(level: str = "INFO", form: str = "") -> None:
    """Log to standard error, as the process manager expects it; `form` may be json."""
    handler = logging.StreamHandler()
    plain = Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(JsonFormatter() if form.lower() == "json" else plain)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("slack_bolt", "slack_sdk", "aiohttp.access", "apscheduler", "botocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
