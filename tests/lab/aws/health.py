"""How targets stand at a balancer: initial, healthy, unhealthy, draining. moto knows healthy only.

moto keeps who is registered. The balancer part, where there is one, tells who is really served;
without it a target is healthy a moment after it was registered. Who has left is told as draining
for the deregistration delay, but only once the balancer has really stopped sending.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.aws.backend import Backend
from tests.lab.aws.wire import ELBV2, Answer, Refusal, Request, numbered, told, xml

Truth = Callable[[str], dict[str, tuple[str, str]] | None]
INITIAL = 0.2  # seconds until a target is healthy where no balancer is there to tell
WORDS = {
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Elb.InitialHealthChecking": "Initial health checks in progress",
    "Target.FailedHealthChecks": "Health checks failed",
    "Target.ResponseCodeMismatch": "Health checks failed",
    "Target.Timeout": "Request timed out",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
    "Target.NotRegistered": "Target is not registered to the target group",
    "Target.NotInUse": "Target group is not configured to receive traffic from the load balancer",
    "Target.InvalidState": "Target is in the stopped state",
}
DEFAULT_REASON = {
    "initial": "Elb.InitialHealthChecking",
    "unhealthy": "Target.FailedHealthChecks",
    "draining": "Target.DeregistrationInProgress",
}


@dataclass(frozen=True)
class Row:
    id: str
    port: str
    state: str
    reason: str = ""


@dataclass(frozen=True)
class Leaving:
    port: str
    until: float


class TargetHealth:
    """Overlay of RegisterTargets, DeregisterTargets and DescribeTargetHealth."""

    def __init__(self, backend: Backend, truth: Callable[[], Truth | None]) -> None:
        self.backend, self.truth = backend, truth
        self.used: dict[str, bool] = {}  # group -> is a load balancer before it; see changed()
        self.joined: dict[tuple[str, str], float] = {}
        self.leaving: dict[tuple[str, str], Leaving] = {}

    def changed(self) -> None:
        """Groups, listeners or rules have changed."""
        self.used.clear()

    async def register(self, request: Request) -> Answer:
        group = request.params.get("TargetGroupArn", "")
        ids = request.listed("Targets.member", "Id")
        before = {row.id for row in await self._registered(group)}
        await self._check_known(ids)
        answer = await self.backend.send(request)
        for id in ids if answer.ok else ():
            self.leaving.pop((group, id), None)
            if id not in before:
                self.joined[group, id] = time.monotonic()
        return answer

    async def deregister(self, request: Request) -> Answer:
        """AWS answers well for a target that is not registered; moto refuses."""
        group = request.params.get("TargetGroupArn", "")
        rows = {row.id: row for row in await self._registered(group)}
        asked = [id for id in request.listed("Targets.member", "Id") if id in rows]
        if asked:
            common = {k: v for k, v in request.params.items() if not k.startswith("Targets.")}
            targets = numbered("Targets.member", asked)
            await self.backend.send(
                request.changed({**common, **{f"{k}.Id": v for k, v in targets.items()}})
            )
            await self._leave(group, [rows[id] for id in asked])
        return told("DeregisterTargets", ELBV2, "")

    async def terminate(self, request: Request) -> Answer:
        """A terminated instance leaves its target groups by itself."""
        ids = set(request.listed("InstanceId"))
        tree = await self.backend.ask("elbv2", "DescribeTargetGroups")
        groups = [e.text or "" for e in tree.iterfind(".//TargetGroupArn")]
        rows = {group: await self._registered(group) for group in groups}
        answer = await self.backend.send(request)
        for group in groups if answer.ok else ():
            await self._leave(group, [row for row in rows[group] if row.id in ids])
        return answer

    async def describe(self, request: Request) -> Answer:
        group = request.params.get("TargetGroupArn", "")
        rows = {row.id: row for row in await self._rows(group)}
        asked = request.listed("Targets.member", "Id")
        absent = [Row(id, "", "unused", "Target.NotRegistered") for id in asked if id not in rows]
        shown = [rows[id] for id in asked if id in rows] + absent if asked else rows.values()
        inner = "".join(_member(row) for row in shown)
        answer = f"<TargetHealthDescriptions>{inner}</TargetHealthDescriptions>"
        return told("DescribeTargetHealth", ELBV2, answer)

    async def _rows(self, group: str) -> list[Row]:
        registered = await self._registered(group)
        in_use = await self._in_use(group)
        truth = self.truth()
        seen = await asyncio.to_thread(truly, truth, group) if truth and in_use else None
        rows = []
        for row in registered:
            if row.state != "healthy":
                rows.append(row)  # stopped
            elif not in_use:
                rows.append(Row(row.id, row.port, "unused", "Target.NotInUse"))
            else:
                rows.append(Row(row.id, row.port, *self._joining(group, row.id, seen)))
        for (place, id), left in list(self.leaving.items()):
            still = seen is not None and seen.get(id, ("", ""))[0] == "healthy"
            if place == group and (still or time.monotonic() < left.until):
                state = "healthy" if still else "draining"
                rows.append(Row(id, left.port, state, DEFAULT_REASON.get(state, "")))
            elif place == group:
                del self.leaving[place, id]
        return rows

    def _joining(
        self, group: str, id: str, seen: dict[str, tuple[str, str]] | None
    ) -> tuple[str, str]:
        if seen is None:
            since = time.monotonic() - self.joined.get((group, id), 0)
            return ("healthy", "") if since > INITIAL else ("initial", "Elb.RegistrationInProgress")
        state, reason = seen.get(id, ("", ""))
        if state not in ("initial", "healthy", "unhealthy"):
            return "initial", "Elb.RegistrationInProgress"  # it has not yet taken it in
        return state, "" if state == "healthy" else reason or DEFAULT_REASON[state]

    async def _leave(self, group: str, rows: list[Row]) -> None:
        if not rows or not await self._in_use(group):
            return
        tree = await self.backend.ask(
            "elbv2", "DescribeTargetGroupAttributes", TargetGroupArn=group
        )
        attributes = {m.findtext("Key"): m.findtext("Value") for m in tree.iterfind(".//member")}
        delay = float(attributes.get("deregistration_delay.timeout_seconds") or 300)
        for row in rows:
            self.joined.pop((group, row.id), None)
            self.leaving[group, row.id] = Leaving(row.port, time.monotonic() + delay)

    async def _check_known(self, ids: list[str]) -> None:
        """moto registers what does not exist."""
        instances = numbered("InstanceId", [id for id in ids if id.startswith("i-")])
        try:
            if instances:
                await self.backend.ask_with("ec2", "DescribeInstances", instances)
        except Refusal:
            text = f"The following targets are not in a running state: {', '.join(ids)}"
            raise Refusal("InvalidTarget", text) from None

    async def _registered(self, group: str) -> list[Row]:
        tree = await self.backend.ask("elbv2", "DescribeTargetHealth", TargetGroupArn=group)
        return [
            Row(
                member.findtext("Target/Id") or "",
                member.findtext("Target/Port") or "",
                member.findtext("TargetHealth/State") or "",
                member.findtext("TargetHealth/Reason") or "",
            )
            for member in tree.iterfind(".//TargetHealthDescriptions/member")
        ]

    async def _in_use(self, group: str) -> bool:
        if group not in self.used:
            params = {"TargetGroupArns.member.1": group}
            tree = await self.backend.ask_with("elbv2", "DescribeTargetGroups", params)
            self.used[group] = tree.find(".//LoadBalancerArns/member") is not None
        return self.used[group]


def truly(truth: Truth, group: str) -> dict[str, tuple[str, str]] | None:
    """What the balancer says; None where it does not follow this group."""
    try:
        return truth(group)
    except KeyError:
        return None


def _member(row: Row) -> str:
    health = xml("State", row.state) + xml("Reason", row.reason)
    health += xml("Description", WORDS.get(row.reason, row.reason))
    return (
        f"<member><Target>{xml('Id', row.id)}{xml('Port', row.port)}</Target>"
        f"{xml('HealthCheckPort', row.port)}<TargetHealth>{health}</TargetHealth></member>"
    )
