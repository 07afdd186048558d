"""How a copy differs from its master: every field that AWS tells, but for what must be its own."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from tests.lab.aws import PEEK
from tests.lab.fleet import Fleet

OWN = {  # of each instance, by its nature
    "InstanceId", "ImageId", "LaunchTime", "ClientToken", "AmiLaunchIndex", "PrivateIpAddress",
    "PrivateDnsName", "State", "StateReason", "StateTransitionReason",
}  # fmt: skip
APART = {"Tags", "IamInstanceProfile", "BlockDeviceMappings", "NetworkInterfaces"}  # told below
OWN_TAGS = {"Name", "Operation"}
DISK = ("Size", "VolumeType", "Encrypted", "AvailabilityZone")


def differences(fleet: Fleet, master: str, name: str) -> list[str]:
    """Return a sentence for each field in which the instance `name` is not like its master."""
    rows = fleet.rows()
    if missing := {master, name} - set(rows):
        return [f"{', '.join(sorted(missing))} does not run"]
    old, new = (dict(_fields(fleet, rows[one])) for one in (master, name))
    keys = sorted(old.keys() | new.keys())
    return [
        f"{name}: {key} is {new.get(key)!r}, that of {master} is {old.get(key)!r}"
        for key in keys
        if old.get(key) != new.get(key)
    ]


def _fields(fleet: Fleet, row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    ec2, id = fleet.aws.client("ec2", PEEK), row["InstanceId"]
    for key, value in row.items():
        if key not in OWN | APART:
            yield key, value
    yield "SecurityGroups", sorted(group["GroupId"] for group in row["SecurityGroups"])
    yield "tags", {t["Key"]: t["Value"] for t in row["Tags"] if t["Key"] not in OWN_TAGS}
    yield "IamInstanceProfile", row.get("IamInstanceProfile", {}).get("Arn")
    told = ec2.describe_instance_attribute(InstanceId=id, Attribute="userData")["UserData"]
    yield "user data", base64.b64decode(told.get("Value", "")).decode()
    for disk in row["BlockDeviceMappings"]:
        [volume] = ec2.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
        kept = {"DeleteOnTermination": disk["Ebs"]["DeleteOnTermination"]}
        yield disk["DeviceName"], kept | {key: volume.get(key) for key in DISK}
    for card in row["NetworkInterfaces"]:
        groups = sorted(group["GroupId"] for group in card["Groups"])
        place = card["Attachment"]["DeviceIndex"]
        yield f"network card {place}", (card["SubnetId"], card["SourceDestCheck"], groups)
