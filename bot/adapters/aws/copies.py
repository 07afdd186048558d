"""A copy of a master: what RunInstances is told, so that the new instance is like the old one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.adapters.aws.described import TAG_LIMIT, tags_of

OWN = {"Name", "Operation"}  # what a copy has for itself
BURSTABLE = re.compile(r"t\d")  # the instance types that earn and spend CPU credits
ENABLED = {"enabled", "pending"}
METADATA = (
    "HttpEndpoint",
    "HttpProtocolIpv6",
    "HttpPutResponseHopLimit",
    "InstanceMetadataTags",
)


@dataclass(frozen=True)
class Model:
    """A master as EC2 describes it, what it tells only when it is asked for it, and the names of
    the disks that an image brings."""

    described: Mapping[str, Any]
    user_data: bytes = b""
    credits: str = ""  # standard or unlimited, of a burstable type
    disks: tuple[str, ...] = ()


def copy(
    model: Model,
    image: str,
    name: str,
    operation: str,
    environment: str,
    type: str,
    subnet: str = "",
) -> dict[str, Any]:
    """Return the arguments of RunInstances for one copy. The same copy has the same ones.

    Tags, which EC2 lists in any order, are sorted: a client token that comes again with other
    arguments is an error. The disks come from the image, and go with the instance: a master's may
    be there to stay. Without a subnet it goes where its master is.
    """
    has = model.described
    tags = {
        **{k: v for k, v in tags_of(has).items() if k not in OWN and not k.startswith("aws:")},
        "Env": environment,
        "Type": type,
        "Name": name,
        "Operation": operation_tag(operation),
    }
    tagged = [{"Key": k, "Value": v} for k, v in sorted(tags.items())]
    more = {
        "KeyName": has.get("KeyName"),
        **_network(has, subnet),
        "BlockDeviceMappings": [
            {"DeviceName": disk, "Ebs": {"DeleteOnTermination": True}} for disk in model.disks
        ],
        "IamInstanceProfile": _profile(has),
        "UserData": model.user_data,
        "CreditSpecification": {"CpuCredits": model.credits} if model.credits else None,
        "Placement": _placement(has.get("Placement", {})),
    }
    return {
        "ImageId": image,
        "InstanceType": has["InstanceType"],
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": token(operation, name),
        "EbsOptimized": bool(has.get("EbsOptimized")),
        "MetadataOptions": _metadata(has.get("MetadataOptions", {})),
        "Monitoring": {"Enabled": has.get("Monitoring", {}).get("State") in ENABLED},
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tagged} for kind in ("instance", "volume")
        ],
        **{key: value for key, value in more.items() if value},
    }


def token(operation: str, name: str) -> str:
    """Return the client token of one instance of one operation, in the 64 characters AWS takes."""
    return hashlib.sha256(f"{operation}\n{name}".encode()).hexdigest()


def operation_tag(operation: str) -> str:
    """Return the tag by which an operation finds again what it has launched."""
    return operation[:TAG_LIMIT]


def _network(has: Mapping[str, Any], subnet: str) -> dict[str, Any]:
    """Say where it is, and that it is reached from outside where its master is.

    What a subnet gives by itself may be no public address; that of a master may be an Elastic one.
    """
    groups = [g["GroupId"] for g in has.get("SecurityGroups", ())]
    place = subnet or has.get("SubnetId")
    card: Mapping[str, Any] = next(iter(has.get("NetworkInterfaces", ())), {})
    outside = {
        "AssociatePublicIpAddress": bool(card.get("Association", {}).get("PublicIp")),
        "Ipv6AddressCount": len(card.get("Ipv6Addresses", ())),
    }
    if not any(outside.values()):
        return {"SecurityGroupIds": groups, "SubnetId": place}
    asked = {key: value for key, value in outside.items() if value}
    return {"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": place, "Groups": groups, **asked}]}


def _metadata(has: Mapping[str, Any]) -> dict[str, Any]:
    """Whatever the master does, a copy asks for tokens: IMDSv1 gives the role to any open proxy."""
    return {**{k: has[k] for k in METADATA if k in has}, "HttpTokens": "required"}


def _placement(has: Mapping[str, Any]) -> dict[str, str]:
    """The zone is the subnet's. A partition or a host is not copied: copies shall spread."""
    tenancy, group = has.get("Tenancy", ""), has.get("GroupName", "")
    found = {"Tenancy": tenancy if tenancy != "default" else "", "GroupName": group}
    return {key: value for key, value in found.items() if value}


def _profile(has: Mapping[str, Any]) -> dict[str, str]:
    arn = has.get("IamInstanceProfile", {}).get("Arn", "")
    return {"Arn": arn} if arn else {}
