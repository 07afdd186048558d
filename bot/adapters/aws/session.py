"""The door to AWS: one boto3 session, cached clients, and errors as sentences.

boto3 is imported when the first client is made: it costs half a second and 30 MB, and a process
that never asks AWS pays neither. `sleep` and `clock` are given, so that tests do not wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from bot.adapters.aws.errors import Late, Passing, Told, explain
from bot.counts import COUNTS

ATTEMPTS = 5  # of one call, by botocore, with growing pauses
RENEWALS = (0.2, 1.0, 3.0)  # seconds that are given to whoever renews credentials
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
        return self._asked(doing, service, lambda client: getattr(client, verb)(**asked))

    def _all(self, doing: str, service: str, verb: str, **asked: Any) -> Any:
        """Call one API verb for every page of its answer, as one answer."""

        def ask(client: Any) -> Any:
            return client.get_paginator(verb).paginate(**asked).build_full_result()

        return self._asked(doing, service, ask)

    def _asked(
        self, doing: str, service: str, ask: Callable[[Any], Any], attempts: int = ATTEMPTS
    ) -> Any:
        """Ask; credentials that have just expired are read anew: whoever renews them may be late.

        AWS turns such a call away at the door, so that it can be asked again whatever it is.
        """
        pauses = list(RENEWALS)
        while True:
            told = self._answered(doing, service, ask, attempts)
            if not isinstance(told, Told):
                return told
            if told.credentials:
                self._forget()  # who renews them and asks again must not meet the old ones
            if not (told.expired and pauses):
                raise told.error from None
            self._sleep(pauses.pop(0))

    def _answered(self, doing: str, service: str, ask: Callable[[Any], Any], attempts: int) -> Any:
        """Return what AWS answers; where it is an error, what to tell of it."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return ask(self._client(service, attempts))
        except ClientError as error:
            said = error.response.get("Error", {})
            COUNTS.aws_error(service, str(said.get("Code", "")))
            return explain(
                doing,
                str(said.get("Code", "")),
                str(said.get("Message", "")),
                action=f"{POLICIES.get(service, service)}:{error.operation_name}",
            )
        except BotoCoreError as error:
            COUNTS.aws_error(service, type(error).__name__)
            return explain(doing, type(error).__name__, str(error), region=self._region)

    def _forget(self) -> None:
        with self._lock:
            self._clients, self._boto = {}, None

    def _until(
        self, seen: Callable[[], str], timeout: float, poll: float, doing: str, hint: str = ""
    ) -> None:
        """Poll until `seen` says nothing more is missing; what it said last is told at the end.

        What AWS has trouble with is waited out here: it makes a wait longer, it does not end it.
        """
        end, pause = self._clock() + timeout, poll
        while True:
            try:
                missing = seen()
            except Passing as error:
                missing = error.text.removeprefix(f"{doing}: ")
            if not missing:
                return
            left = end - self._clock()
            if left <= 0:
                raise Late(f"{doing}: {missing} after {timeout:g} s", hint)
            self._sleep(min(pause, left))
            pause = min(pause * 1.5, poll * 10)
