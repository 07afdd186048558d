"""Faults: what AWS does on its bad days, on command.

    aws.fault("DescribeInstances", "throttle", times=2)
    aws.fault(lambda action, params: params.get("ImageId") == image, "lost")
    aws.fault("RegisterTargets", "after", skip=1, call=bot.kill)  # at the second such call

| kind     | what happens                                                            |
|----------|-------------------------------------------------------------------------|
| throttle | refused as too fast, in the words of the service                        |
| error    | refused, 500 unless told otherwise (`code`, `message`, `status`)        |
| expired  | refused with ExpiredToken                                               |
| capacity | refused with InsufficientInstanceCapacity                               |
| lost     | executed; the connection breaks instead of an answer                    |
| cut      | the connection breaks and nothing was executed                          |
| slow     | executed `seconds` later                                                |
| before   | `call` is called; the connection breaks and nothing was executed        |
| after    | executed; then `call` is called, and the connection breaks              |

`skip` lets so many matching calls pass first; where `chance` is given, it says which are met.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.aws.wire import Refusal, Request

Match = Callable[[str, dict[str, str]], bool]

KINDS = (
    "throttle", "error", "expired", "capacity", "lost", "cut", "slow", "before", "after",
)  # fmt: skip
BREAKS = ("lost", "cut", "before", "after")  # instead of an answer
UNDONE = ("cut", "before")
DETAILS = ("code", "message", "status", "seconds", "skip", "chance", "call")
EXPIRED = ("ExpiredToken", "The security token included in the request is expired", 403)
CAPACITY = (
    "InsufficientInstanceCapacity",
    "We currently do not have sufficient capacity in the Availability Zone you requested.",
    500,
)


@dataclass
class Fault:
    """One fault that waits for its calls; `hits` counts those it has met."""

    match: Match
    kind: str
    times: float = 1
    code: str = ""
    message: str = ""
    status: int = 0
    seconds: float = 1.0
    skip: int = 0
    chance: Callable[[], bool] = lambda: True
    call: Callable[[], object] = lambda: None
    hits: int = 0

    def refusal(self, service: str) -> Refusal | None:
        """What it answers instead; None for the kinds that do not refuse."""
        match self.kind:
            case "throttle":
                code, message, status = _throttled(service)
            case "expired":
                code, message, status = EXPIRED
            case "capacity":
                code, message, status = CAPACITY
            case "error":
                code, message, status = "InternalError", "An internal error has occurred", 500
            case _:
                return None
        return Refusal(self.code or code, self.message or message, self.status or status)


class Faults(list[Fault]):
    """The faults that are set, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def set(self, match: Match | str, kind: str, times: float = 1, **detail: object) -> Fault:
        """Set a fault for the next `times` calls that match (an action's name, or a function)."""
        if kind not in KINDS:
            raise ValueError(f"a fault is one of {', '.join(KINDS)}, not {kind!r}")
        fault = Fault(match if callable(match) else _named(match), kind, times)
        for name, value in detail.items():
            if name not in DETAILS:
                raise TypeError(f"a fault has no {name!r}")
            setattr(fault, name, value)
        self.append(fault)
        return fault

    def met(self, request: Request) -> Fault | None:
        """The first fault that this call meets; it is used up a little."""
        with self._lock:
            for fault in self:
                if fault.hits >= fault.times:
                    continue
                if not fault.match(request.action, request.params):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                elif fault.chance():
                    fault.hits += 1
                    return fault
        return None


def by_credentials(request: Request) -> Refusal | None:
    """Keys that tell what AWS thinks of them."""
    match request.key:
        case "AKIAEXPIRED":
            return Refusal(*EXPIRED)
        case "AKIAINVALID" if request.service == "ec2":
            text = "AWS was not able to validate the provided access credentials"
            return Refusal("AuthFailure", text, 401)
        case "AKIAINVALID":
            text = "The security token included in the request is invalid."
            return Refusal("InvalidClientTokenId", text, 403)
    return None


def _named(action: str) -> Match:
    return lambda seen, params: action in (seen, "*")


def _throttled(service: str) -> tuple[str, str, int]:
    if service == "ec2":
        return "RequestLimitExceeded", "Request limit exceeded.", 503
    if service in ("elb", "elbv2"):
        return "Throttling", "Rate exceeded", 400
    return "ThrottlingException", "Rate exceeded", 400
