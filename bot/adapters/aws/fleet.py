"""The facade of AWS: `Aws(config)` has every verb for commands. Here, too: fleets, by tags."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.adapters.aws.balancers import Balancers
from bot.adapters.aws.images import Images
from bot.adapters.aws.records import Fleet, Instance, in_order

STATES = ("pending", "running", "stopping", "stopped")


class Aws(Balancers, Images):
    """AWS as Packlead sees it: verbs take and return records, words and numbers only."""

    def fleet(self, environment: str) -> Fleet:
        """Return the instances of an environment that carry a Name and a Type."""
        answer = self._all(
            f"asking AWS for the instances of {environment}",
            "ec2",
            "describe_instances",
            Filters=[
                {"Name": "tag:Env", "Values": [environment]},
                {"Name": "instance-state-name", "Values": list(STATES)},
            ],
        )
        found = (_instance(i) for r in answer["Reservations"] for i in r["Instances"])
        return Fleet(environment, in_order(i for i in found if i.name and i.type))


def tags(given: Iterable[dict[str, str]]) -> dict[str, str]:
    """Return tags as AWS lists them as the mapping they are."""
    return {t["Key"]: t["Value"] for t in given}


def _instance(data: dict[str, Any]) -> Instance:
    has = tags(data.get("Tags", ()))
    return Instance(
        id=data["InstanceId"],
        name=has.get("Name", ""),
        environment=has.get("Env", ""),
        type=has.get("Type", ""),
        address=data.get("PrivateIpAddress", ""),
        state=data["State"]["Name"],
        launched=data["LaunchTime"].isoformat() if "LaunchTime" in data else "",
        image=data.get("ImageId", ""),
    )
