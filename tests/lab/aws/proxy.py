"""The door of the lab's AWS: a call comes in, is logged, may meet a fault, and is answered.

The order: credentials, faults, what cannot be found yet, then an overlay where moto is not AWS, or
moto itself; then the watchers hear of it, and then the caller gets the answer.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from aiohttp import web

from tests.lab.aws.backend import Backend
from tests.lab.aws.classic import InstanceHealth
from tests.lab.aws.consistency import Consistency
from tests.lab.aws.faults import BREAKS, UNDONE, Fault, Faults, by_credentials
from tests.lab.aws.health import TargetHealth, Truth
from tests.lab.aws.images import Images
from tests.lab.aws.launches import Launches
from tests.lab.aws.wire import Answer, Refusal, Request, error_code, read

Overlay = Callable[[Request], Awaitable[Answer]]
PEEK = "AKIAPACKLEADLABPEEK1"  # the lab's own key: not logged, no faults, nothing hidden
PAGE = "1000"  # what AWS gives at once; moto would give a hundred


@dataclass(frozen=True)
class Call:
    """One call in the log; it unpacks as (action, params, status)."""

    action: str
    params: dict[str, str]
    status: int
    service: str = ""
    error: str = ""
    fault: str = ""
    seconds: float = 0.0
    at: float = field(default_factory=time.monotonic)

    def __iter__(self) -> Iterator[object]:
        return iter((self.action, self.params, self.status))


class Proxy:
    """Lives in one event loop; `told` is called, in order, after each call that succeeded."""

    def __init__(
        self,
        backend: Backend,
        truth: Callable[[], Truth | None],
        told: Callable[[str, dict[str, str], bytes], None],
    ) -> None:
        self.backend, self.told = backend, told
        self.log: list[Call] = []
        self.faults = Faults()
        self.consistency = Consistency()
        self.images = Images(backend)
        self.launches = Launches(backend, self.images)
        self.targets = targets = TargetHealth(backend, truth)
        self.classic = classic = InstanceHealth(backend, truth)
        self.overlays: dict[tuple[str, str], Overlay] = {
            ("ec2", "RunInstances"): self.launches.run,
            ("ec2", "TerminateInstances"): targets.terminate,
            ("ec2", "DescribeInstances"): self._paged,
            ("ec2", "CreateImage"): self.images.create,
            ("ec2", "DeregisterImage"): self.images.deregister,
            ("ssm", "PutParameter"): self._parameter,
            ("elbv2", "RegisterTargets"): targets.register,
            ("elbv2", "DeregisterTargets"): targets.deregister,
            ("elbv2", "DescribeTargetHealth"): targets.describe,
            ("elb", "RegisterInstancesWithLoadBalancer"): classic.register,
            ("elb", "DeregisterInstancesFromLoadBalancer"): classic.deregister,
            ("elb", "DescribeInstanceHealth"): classic.describe,
            ("secretsmanager", "ListSecretVersionIds"): self._versions,
        }

    async def handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        body = await incoming.read()
        request = read(incoming.method, incoming.path_qs, incoming.headers.items(), body)
        began = time.monotonic()
        # AWS finishes what it has begun, also when the caller does not wait for it.
        answer, fault = await asyncio.shield(self._answer(request))
        kind = fault.kind if fault else ""
        if request.key != PEEK:
            self.log.append(
                Call(
                    request.action,
                    request.params,
                    answer.status,
                    request.service,
                    error="" if answer.ok else error_code(answer),
                    fault=kind,
                    seconds=time.monotonic() - began,
                    at=began,
                )
            )
        if fault and kind == "after":
            await asyncio.to_thread(fault.call)
        if kind in BREAKS and incoming.transport:
            incoming.transport.abort()
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def _answer(self, request: Request) -> tuple[Answer, Fault | None]:
        fault = None
        overlay = self.overlays.get((request.service, request.action), self.backend.send)
        seen = request.key != PEEK
        try:
            if refusal := by_credentials(request):
                raise refusal
            if seen and (fault := self.faults.met(request)):
                if refusal := fault.refusal(request.service):
                    raise refusal
                if fault.kind == "before":
                    await asyncio.to_thread(fault.call)
                if fault.kind in UNDONE:
                    return Answer(503, b""), fault
                if fault.kind == "slow":
                    await asyncio.sleep(fault.seconds)
            if seen:
                self.consistency.check(request)
            answer = await overlay(request)
            if seen:
                answer = self.consistency.shown(request, answer)
        except Refusal as refusal:
            return refusal.answer(request), fault
        if request.service == "elbv2" and not request.action.startswith("Describe"):
            self.targets.changed()
        if answer.ok:
            self.told(request.action, request.params, answer.body)
        return answer, fault

    async def _parameter(self, request: Request) -> Answer:
        if re.search(r"\{\{.*\}\}", request.params.get("Value", ""), re.DOTALL):
            told = 'Parameter value can\'t nest another parameter. Do not use "{{}}" in the value.'
            raise Refusal("ValidationException", told)
        return await self.backend.send(request)

    async def _paged(self, request: Request) -> Answer:
        params = request.params
        if "MaxResults" not in params and not request.listed("InstanceId"):
            request = request.changed({**params, "MaxResults": PAGE})
        return await self.backend.send(request)

    async def _versions(self, request: Request) -> Answer:
        """moto trips over a secret that is not there."""
        answer = await self.backend.send(request)
        if answer.status == 500 and b"KeyError" in answer.body:
            message = "Secrets Manager can't find the specified secret."
            raise Refusal("ResourceNotFoundException", message)
        return answer
