"""How instances stand at a classic ELB: InService or OutOfService, and draining connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tests.lab.aws.backend import Backend
from tests.lab.aws.health import INITIAL, Truth, truly
from tests.lab.aws.wire import ELB, Answer, Refusal, Request, told, xml

JOINING = ("OutOfService", "ELB", "Instance registration is still in progress.")
FAILING = (
    "OutOfService",
    "Instance",
    "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.",
)
SERVING = ("InService", "N/A", "N/A")
DRAINING = ("InService", "N/A", "Instance deregistration currently in progress.")


class InstanceHealth:
    """Overlay of the classic ELB's registration and health calls."""

    def __init__(self, backend: Backend, truth: Callable[[], Truth | None]) -> None:
        self.backend, self.truth = backend, truth
        self.joined: dict[tuple[str, str], float] = {}
        self.leaving: dict[tuple[str, str], float] = {}  # until when connections drain

    async def register(self, request: Request) -> Answer:
        name, ids = _named(request)
        await self._known(ids)
        before = await self._registered(name)
        answer = await self.backend.send(request)
        for id in ids if answer.ok else ():
            self.leaving.pop((name, id), None)
            if id not in before:
                self.joined[name, id] = time.monotonic()
        return await self._list(request, name) if answer.ok else answer

    async def deregister(self, request: Request) -> Answer:
        name, ids = _named(request)
        await self._known(ids)
        before = await self._registered(name)
        answer = await self.backend.send(request)
        delay = await self._delay(name)
        for id in ids if answer.ok else ():
            self.joined.pop((name, id), None)
            if id in before and delay:
                self.leaving[name, id] = time.monotonic() + delay
        return await self._list(request, name) if answer.ok else answer

    async def describe(self, request: Request) -> Answer:
        name, asked = _named(request)
        registered = await self._registered(name)
        truth = self.truth()
        seen = await asyncio.to_thread(truly, truth, name) if truth else None
        inner = ""
        for id in asked or registered:
            if id in registered:
                row = self._state(name, id, seen)
            elif self.leaving.get((name, id), 0) > time.monotonic():
                row = DRAINING
            else:
                raise _unknown(id)
            state, reason, words = row
            inner += (
                f"<member>{xml('InstanceId', id)}{xml('State', state)}"
                f"{xml('ReasonCode', reason)}{xml('Description', words)}</member>"
            )
        return told("DescribeInstanceHealth", ELB, f"<InstanceStates>{inner}</InstanceStates>")

    def _state(
        self, name: str, id: str, seen: dict[str, tuple[str, str]] | None
    ) -> tuple[str, str, str]:
        if seen is None:
            since = time.monotonic() - self.joined.get((name, id), 0)
            return SERVING if since > INITIAL else JOINING
        return {"healthy": SERVING, "unhealthy": FAILING}.get(seen.get(id, ("", ""))[0], JOINING)

    async def _list(self, request: Request, name: str) -> Answer:
        ids = await self._registered(name)
        members = "".join(f"<member>{xml('InstanceId', id)}</member>" for id in ids)
        return told(request.action, ELB, f"<Instances>{members}</Instances>")

    async def _known(self, ids: list[str]) -> None:
        for id in ids:
            try:
                await self.backend.ask("ec2", "DescribeInstances", **{"InstanceId.1": id})
            except Refusal:
                raise _unknown(id) from None

    async def _registered(self, name: str) -> list[str]:
        params = {"LoadBalancerNames.member.1": name}
        tree = await self.backend.ask_with("elb", "DescribeLoadBalancers", params)
        return [e.text or "" for e in tree.iterfind(".//Instances/member/InstanceId")]

    async def _delay(self, name: str) -> float:
        tree = await self.backend.ask(
            "elb", "DescribeLoadBalancerAttributes", LoadBalancerName=name
        )
        draining = tree.find(".//ConnectionDraining")
        if draining is None or draining.findtext("Enabled") != "true":
            return 0
        return float(draining.findtext("Timeout") or 300)


def _named(request: Request) -> tuple[str, list[str]]:
    name = request.params.get("LoadBalancerName", "")
    return name, request.listed("Instances.member", "InstanceId")


def _unknown(id: str) -> Refusal:
    return Refusal("InvalidInstance", f"Could not find EC2 instance {id}.")
