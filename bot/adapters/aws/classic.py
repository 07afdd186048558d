"""Classic ELBs: find, look, register, deregister."""

from __future__ import annotations

from bot.adapters.aws.errors import Answered
from bot.adapters.aws.records import Balancer, Target
from bot.adapters.aws.session import Session


class Classics(Session):
    """How a classic ELB is asked."""

    def _classic(self, name: str) -> Balancer | None:
        doing = f"asking AWS for the balancer {name}"
        try:
            found = self._call(doing, "elb", "describe_load_balancers", LoadBalancerNames=[name])
        except Answered as error:
            if error.code in {"LoadBalancerNotFound", "AccessPointNotFound"}:
                return None
            raise
        data = found["LoadBalancerDescriptions"][0]
        more = self._call(doing, "elb", "describe_load_balancer_attributes", LoadBalancerName=name)[
            "LoadBalancerAttributes"
        ]
        draining = more.get("ConnectionDraining", {})
        listeners = data.get("ListenerDescriptions") or [{"Listener": {"InstancePort": 0}}]
        scheme, _, path = data.get("HealthCheck", {}).get("Target", "").partition("/")
        return Balancer(
            name=name,
            kind="classic",
            id=name,
            port=int(listeners[0]["Listener"]["InstancePort"]),
            health=f"/{path}" if scheme.startswith("HTTP") else "",
            delay=int(draining.get("Timeout") or 0) if draining.get("Enabled") else 0,
        )

    def _classic_targets(self, balancer: Balancer, instance: str = "") -> tuple[Target, ...]:
        try:
            answer = self._call(
                f"asking {balancer.name} how its instances are",
                "elb",
                "describe_instance_health",
                LoadBalancerName=balancer.id,
                **({"Instances": [{"InstanceId": instance}]} if instance else {}),
            )
        except Answered as error:
            if instance and error.code in {"InvalidInstance", "InvalidEndPoint"}:
                return ()  # how a classic ELB says that it is not registered
            raise
        return tuple(
            Target(s["InstanceId"], _meant(s["State"], s.get("Description", "")), _told(s))
            for s in answer["InstanceStates"]
        )

    def _classic_leave(self, balancer: Balancer, instance: str, host: str) -> None:
        try:
            self._call(
                f"taking {host} out of {balancer.name}",
                "elb",
                "deregister_instances_from_load_balancer",
                LoadBalancerName=balancer.id,
                Instances=[{"InstanceId": instance}],
            )
        except Answered as error:
            if error.code != "InvalidInstance":  # that one is out already
                raise

    def _classic_join(self, balancer: Balancer, instance: str, host: str) -> None:
        self._call(
            f"putting {host} into {balancer.name}",
            "elb",
            "register_instances_with_load_balancer",
            LoadBalancerName=balancer.id,
            Instances=[{"InstanceId": instance}],
        )


def _meant(state: str, description: str) -> str:
    """Return our state. While requests in flight end, a leaving instance still is `InService`."""
    said = description.lower()
    if "deregistration currently in progress" in said:
        return "draining"
    if "not currently registered" in said:
        return "absent"
    if "registration is still in progress" in said or state == "Unknown":
        return "initial"
    return "healthy" if state == "InService" else "unhealthy"


def _told(state: dict[str, str]) -> str:
    said = (state.get("ReasonCode", ""), state.get("Description", ""))
    return ": ".join(s for s in said if s and s != "N/A")
