"""The instances that AWS says are running and that are part of a fleet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FLEET = {"Env", "Type", "Name"}  # the tags of an instance that is a host


@dataclass(frozen=True)
class Instance:
    """A running instance, as EC2 describes it."""

    id: str
    name: str
    type: str
    address: str
    image: str


def running(aws: Any, *ids: str) -> list[Instance]:
    """Return the instances that run, of all or of these."""
    live = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    which = {"InstanceIds": list(ids)} if ids else {}
    pages = aws.client("ec2").get_paginator("describe_instances").paginate(Filters=live, **which)
    found = []
    for page in pages:
        for one in (i for r in page["Reservations"] for i in r["Instances"]):
            tags = {t["Key"]: t["Value"] for t in one.get("Tags", [])}
            if tags.keys() >= FLEET:
                place = (one["PrivateIpAddress"], one["ImageId"])
                found.append(Instance(one["InstanceId"], tags["Name"], tags["Type"], *place))
    return found
