"""The door to AWS: one boto3 session, cached clients, and errors as sentences.

boto3 is imported when the first client is made: it costs half a second and 30 MB, and a process
that never asks AWS pays neither. `sleep` and `clock` are given, so that tests do not wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from bot.adapters.aws.errors import Late, Throttled, explain
from bot.counts import COUNTS

ATTEMPTS = 5  # of one call, by botocore, with growing pauses
CONNECT_TIMEOUT, READ_TIMEOUT = 5, 30  # seconds
POLICIES = {"elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing"}  # their name in IAM


class Regional(Protocol):
    """What of the configuration matters here: `config.aws` has it."""

    @property
    def region(self) -> str: ...


class Configured(Protocol):
    """A configuration, or a part of one, that says where AWS is."""

    @property
    def aws(self) -> Regional: ...


class Session:
    """Asks AWS. The adapters' verbs stand on this class; commands see only those."""

    def __init__(
        self,
        config: Configured,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._sleep, self._clock = config, sleep, clock
        self._region = config.aws.region
        self._clients: dict[tuple[str, int], Any] = {}
        self._boto: Any = None
        self._lock = threading.Lock()  # making clients is not thread-safe, using them is

    def _client(self, service: str, attempts: int = ATTEMPTS) -> Any:
        with self._lock:
            if (service, attempts) not in self._clients:
                import boto3  # here, since it is heavy
                from botocore.config import Config

                self._boto = self._boto or boto3.Session(region_name=self._region)
                retries = {"mode": "standard", "total_max_attempts": attempts}
                self._clients[service, attempts] = self._boto.client(
                    service,
                    config=Config(
                        retries=retries,
                        connect_timeout=CONNECT_TIMEOUT,
                        read_timeout=READ_TIMEOUT,
                        max_pool_connections=20,
                    ),
                )
            return self._clients[service, attempts]

    def _call(self, doing: str, service: str, verb: str, **asked: Any) -> Any:
        """Call one API verb; `doing` is what stands before the colon when it goes wrong."""
        with self._told(doing, service):
            return getattr(self._client(service), verb)(**asked)

    def _all(self, doing: str, service: str, verb: str, **asked: Any) -> Any:
        """Call one API verb for every page of its answer, as one answer."""
        with self._told(doing, service):
            pages = self._client(service).get_paginator(verb).paginate(**asked)
            return pages.build_full_result()

    @contextmanager
    def _told(self, doing: str, service: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            said = error.response.get("Error", {})
            COUNTS.aws_error(service, str(said.get("Code", "")))
            told = explain(
                doing,
                str(said.get("Code", "")),
                str(said.get("Message", "")),
                action=f"{POLICIES.get(service, service)}:{error.operation_name}",
            )
        except BotoCoreError as error:
            COUNTS.aws_error(service, type(error).__name__)
            told = explain(doing, type(error).__name__, str(error), region=self._region)
        else:
            return
        if told.credentials:
            self._forget()  # who renews them and asks again must not meet the old ones
        raise told.error from None

    def _forget(self) -> None:
        with self._lock:
            self._clients, self._boto = {}, None

    def _until(
        self, seen: Callable[[], str], timeout: float, poll: float, doing: str, hint: str = ""
    ) -> None:
        """Poll until `seen` says nothing more is missing; what it said last is told at the end.

        Throttling is waited out here: a busy account makes a wait longer, it does not end it.
        """
        end, pause = self._clock() + timeout, poll
        while True:
            try:
                missing = seen()
            except Throttled as error:
                missing = error.text.removeprefix(f"{doing}: ")
            if not missing:
                return
            left = end - self._clock()
            if left <= 0:
                raise Late(f"{doing}: {missing} after {timeout:g} s", hint)
            self._sleep(min(pause, left))
            pause = min(pause * 1.5, poll * 10)
