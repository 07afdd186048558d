"""Balancers of both kinds, alike: who is in, leave and see it, join and see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bot.adapters.aws.classic import Classics
from bot.adapters.aws.records import Balancer, Target
from bot.adapters.aws.target_groups import TargetGroups
from bot.errors import Refused

if TYPE_CHECKING:  # whoever only joins and leaves needs no schema, and no pydantic
    from bot.config import Config

KINDS = ("target_group", "classic")


class Balancers(TargetGroups, Classics):
    """What a roll does at a balancer. `host` is only for the sentences; the id is what counts."""

    def balancer(self, environment: str, type: str) -> Balancer | None:
        """Return the balancer that the config names for a type, or None where it names none."""
        known = cast("Config", self._config).environments.get(environment)
        name = known.balancers.get(type) if known else None
        if name is None:
            return None
        kind = "target_group" if name.target_group else "classic"
        return self._named(
            kind, name.target_group or name.classic, f"environments.{environment}.balancers.{type}"
        )

    def balancer_named(self, kind: str, name: str) -> Balancer:
        """Return a balancer by its kind, target_group or classic, and its name."""
        return self._named(kind, name, f"packlead_balancer.{kind}")

    def targets(self, balancer: Balancer) -> tuple[Target, ...]:
        """Return how everything that is registered, or still drains, stands at the balancer."""
        if balancer.kind == "classic":
            return self._classic_targets(balancer)
        return self._group_targets(balancer)

    def leave(self, balancer: Balancer, instance_id: str, host: str = "") -> None:
        """Ask the balancer to send nothing new to an instance; fine if it is out already."""
        leave = self._classic_leave if balancer.kind == "classic" else self._group_leave
        leave(balancer, instance_id, host or instance_id)

    def join(self, balancer: Balancer, instance_id: str, host: str = "") -> None:
        """Ask the balancer to send to an instance again; fine if it is in, or still drains."""
        join = self._classic_join if balancer.kind == "classic" else self._group_join
        join(balancer, instance_id, host or instance_id)

    def wait_drained(
        self,
        balancer: Balancer,
        instance_id: str,
        timeout: float = 60,
        settle: float = 1,
        poll: float = 0.2,
        host: str = "",
    ) -> None:
        """Return when the balancer has been seen to send nothing new, and `settle` seconds later.

        An ALB says draining for its whole deregistration delay, long after the last request. What
        is in flight ends in the service's graceful stop, so the first draining that is seen is it.
        """

        def missing() -> str:
            target = self._target(balancer, instance_id)
            stopped = {"draining", "absent"}
            if balancer.kind == "classic":
                stopped.add("unhealthy")  # OutOfService: a classic ELB sends it nothing
            return "" if target.state in stopped else f"{balancer.name} still says {_says(target)}"

        self._until(missing, timeout, poll, f"draining {host or instance_id}")
        if settle:
            self._sleep(settle)

    def wait_healthy(
        self,
        balancer: Balancer,
        instance_id: str,
        timeout: float = 60,
        poll: float = 0.2,
        host: str = "",
    ) -> None:
        """Return when the balancer says that an instance is healthy."""

        def missing() -> str:
            target = self._target(balancer, instance_id)
            return "" if target.state == "healthy" else f"{balancer.name} says {_says(target)}"

        self._until(
            missing,
            timeout,
            poll,
            f"waiting until {host or instance_id} is healthy",
            f"ask the host itself: {balancer.health or 'its health check'} on port {balancer.port}",
        )

    def _named(self, kind: str, name: str, key: str) -> Balancer:
        if kind not in KINDS:
            raise Refused(f"finding the balancer {name}: {kind!r} is no kind of balancer")
        found = self._classic(name) if kind == "classic" else self._group(name)
        if found is None:
            what = "classic balancer" if kind == "classic" else "target group"
            raise Refused(
                f"finding the balancer of {key}: there is no {what} {name!r} in {self._region}",
                f"correct {key} in the config file, or aws.region",
            )
        return found

    def _target(self, balancer: Balancer, instance: str) -> Target:
        if balancer.kind == "classic":
            asked = self._classic_targets(balancer, instance)
            if any(t.state == "initial" for t in asked):  # or it does not know that one at all
                asked = self._classic_targets(balancer)
        else:
            asked = self._group_targets(balancer)
        here = [t for t in asked if t.instance == instance]
        return here[0] if here else Target(instance, "absent")


def _says(target: Target) -> str:
    return f"{target.state} ({target.reason})" if target.reason else target.state
