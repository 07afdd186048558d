"""What AWS knows about balancers: target groups, classic ELBs, who is registered with them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

IDS = re.compile(r"Targets\.member\.\d+\.Id|Instances\.member\.\d+\.InstanceId|InstanceId\.\d+")


@dataclass(frozen=True)
class Group:
    """A target group, or a classic ELB: `id` is its ARN, or its name; `delay` that of draining."""

    id: str
    name: str
    port: int
    path: str
    delay: float

    @property
    def classic(self) -> bool:
        return not self.id.startswith("arn:")


def all_groups(aws: Any) -> list[Group]:
    """Return every target group and classic ELB there is."""
    return [*_target_groups(aws), *_classics(aws)]


def registered(aws: Any, group: Group) -> list[str]:
    """Return the ids of the instances registered with a group."""
    if not group.classic:
        rows = aws.client("elbv2").describe_target_health(TargetGroupArn=group.id)
        return [r["Target"]["Id"] for r in rows["TargetHealthDescriptions"]]
    about = aws.client("elb").describe_load_balancers(LoadBalancerNames=[group.name])
    return [i["InstanceId"] for i in about["LoadBalancerDescriptions"][0]["Instances"]]


def address(aws: Any, instance: str) -> str:
    """Return the private address of an instance."""
    found = aws.client("ec2").describe_instances(InstanceIds=[instance])
    return str(found["Reservations"][0]["Instances"][0]["PrivateIpAddress"])


def ids(params: dict[str, str]) -> list[str]:
    """Return the instances that a call of any of these services is about."""
    return [v for k, v in params.items() if IDS.fullmatch(k)]


def _target_groups(aws: Any) -> list[Group]:
    elb, found = aws.client("elbv2"), []
    for page in elb.get_paginator("describe_target_groups").paginate():
        for one in page["TargetGroups"]:
            arn = one["TargetGroupArn"]
            rows = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
            attributes = {r["Key"]: r["Value"] for r in rows}
            delay = float(attributes.get("deregistration_delay.timeout_seconds", 300))
            path = one.get("HealthCheckPath", "/")
            found.append(Group(arn, one["TargetGroupName"], one["Port"], path, delay))
    return found


def _classics(aws: Any) -> list[Group]:
    elb, found = aws.client("elb"), []
    for page in elb.get_paginator("describe_load_balancers").paginate():
        for one in page["LoadBalancerDescriptions"]:
            name = one["LoadBalancerName"]
            port = one["ListenerDescriptions"][0]["Listener"]["InstancePort"]
            about = elb.describe_load_balancer_attributes(LoadBalancerName=name)
            draining = about["LoadBalancerAttributes"].get("ConnectionDraining", {})
            delay = float(draining.get("Timeout", 300)) if draining.get("Enabled") else 0.0
            path = "/" + one["HealthCheck"]["Target"].partition("/")[2]
            found.append(Group(name, name, port, path, delay))
    return found
