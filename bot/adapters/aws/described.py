"""What EC2 describes, as records: the dictionaries of boto3 stop here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bot.adapters.aws.records import Instance

TAG_LIMIT = 256  # characters of a tag's value
OURS = ("Env", "Type", "Name")  # what every instance of Packlead carries
MADE = ("Env", "Type", "Master")  # what every image and snapshot of Packlead carries


def tags(given: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return tags as AWS lists them as the mapping they are."""
    return {t["Key"]: t["Value"] for t in given}


def tags_of(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of anything that EC2 describes."""
    return tags(data.get("Tags", ()))


def carries(data: Mapping[str, Any], keys: Iterable[str]) -> bool:
    """Does it have a value for each of these tags?"""
    has = tags_of(data)
    return all(has.get(key) for key in keys)


def instance(data: Mapping[str, Any]) -> Instance:
    """Return an instance as EC2 describes it, or as RunInstances answers it."""
    has = tags_of(data)
    return Instance(
        id=data["InstanceId"],
        name=has.get("Name", ""),
        environment=has.get("Env", ""),
        type=has.get("Type", ""),
        address=data.get("PrivateIpAddress", ""),
        state=data["State"]["Name"],
        launched=data["LaunchTime"].isoformat() if "LaunchTime" in data else "",
        image=data.get("ImageId", ""),
        subnet=data.get("SubnetId", ""),
    )
