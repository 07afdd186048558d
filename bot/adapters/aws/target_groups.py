"""ELBv2 target groups of instances: find, look, register, deregister."""

from __future__ import annotations

from typing import Any

from bot.adapters.aws.errors import Answered
from bot.adapters.aws.records import Balancer, Target
from bot.adapters.aws.session import Session
from bot.errors import Refused

# What a target's state means to us. `unused` stands below: it means three things.
STATES = {
    "initial": "initial",
    "healthy": "healthy",
    "unhealthy": "unhealthy",
    "draining": "draining",
    "unhealthy.draining": "draining",
    "unavailable": "healthy",  # its health checks are switched off
}
SERVED = {"HTTP", "HTTPS"}  # of the protocols of target groups, what an ALB speaks
GONE = {"Target.NotRegistered", "Target.DeregistrationInProgress"}


class TargetGroups(Session):
    """How a target group is asked."""

    def _group(self, name: str) -> Balancer | None:
        doing = f"asking AWS for the target group {name}"
        try:
            found = self._call(doing, "elbv2", "describe_target_groups", Names=[name])
        except Answered as error:
            if error.code in {"TargetGroupNotFound", "TargetGroupNotFoundException"}:
                return None
            raise
        group = found["TargetGroups"][0]
        if group.get("TargetType", "instance") != "instance":
            raise Refused(
                f"{doing}: its targets are of the kind {group['TargetType']}, not instances",
                "name a target group of instances",
            )
        if group.get("Protocol", "HTTP") not in SERVED:
            raise Refused(
                f"{doing}: it speaks {group['Protocol']}, so it is a network load balancer's: one "
                "sends on for minutes to who has left, and takes minutes to begin",
                "name a target group of HTTP or HTTPS, behind an application load balancer",
            )
        arn = group["TargetGroupArn"]
        more = self._call(doing, "elbv2", "describe_target_group_attributes", TargetGroupArn=arn)[
            "Attributes"
        ]
        delay = {a["Key"]: a["Value"] for a in more}.get("deregistration_delay.timeout_seconds")
        return Balancer(
            name=name,
            kind="target_group",
            id=arn,
            port=int(group.get("Port") or 0),
            health=group.get("HealthCheckPath") or "",
            delay=int(delay or 300),
        )

    def _group_targets(self, balancer: Balancer) -> tuple[Target, ...]:
        answer = self._call(
            f"asking {balancer.name} how its targets are",
            "elbv2",
            "describe_target_health",
            TargetGroupArn=balancer.id,
        )
        return tuple(_target(t) for t in answer["TargetHealthDescriptions"])

    def _group_leave(self, balancer: Balancer, instance: str, host: str) -> None:
        here = [
            t
            for t in self._group_targets(balancer)
            if t.instance == instance and t.state not in {"draining", "absent"}
        ]
        for target in here:
            if target.port not in {0, balancer.port}:
                raise Refused(
                    f"taking {host} out of {balancer.name}: it is registered with the port "
                    f"{target.port} instead of {balancer.port} and could not be put back as it was",
                    f"register {host} with the target group's own port",
                )
        if here:
            self._call(
                f"taking {host} out of {balancer.name}",
                "elbv2",
                "deregister_targets",
                TargetGroupArn=balancer.id,
                Targets=[{"Id": instance}],
            )

    def _group_join(self, balancer: Balancer, instance: str, host: str) -> None:
        # Also right for a target that still drains: registering it again ends that.
        self._call(
            f"putting {host} into {balancer.name}",
            "elbv2",
            "register_targets",
            TargetGroupArn=balancer.id,
            Targets=[{"Id": instance}],
        )


def _target(data: dict[str, Any]) -> Target:
    health = data["TargetHealth"]
    state, reason = health["State"], health.get("Reason", "")
    told = ": ".join(t for t in (reason, health.get("Description", "")) if t)
    if state == "unused":
        meant = "absent" if reason in GONE else "unhealthy"  # stopped, or of no load balancer
    else:
        meant = STATES.get(state, state)
    return Target(data["Target"]["Id"], meant, told, int(data["Target"].get("Port") or 0))
