"""Invariants: what must be so whatever has happened, each told as the sentences that break it.

    assert not [*fleet(lab, "prod", "web", 3, commit), *strays(lab, before), *locks(store)]

Whether enough serve is counted in capacity.py; what Slack and the audit say is looked at in
testimony.py. All of them look at the outside (AWS unseen, haproxy, the hosts themselves)
and at the database; none of them asks the bot.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from bot.events import Answered, Done, Event, Stopped, WasCancelled
from bot.store import Store
from tests.lab.aws import PEEK
from tests.lab.capacity import answer
from tests.lab.lab import Lab

TAGS = ("Env", "Type", "Name")
LOOKS = ("Describe", "Get", "List")  # a call of AWS that changes nothing begins so
ENDS: dict[str, tuple[type[Event], ...]] = {
    "done": (Done, Answered),
    "failed": (Stopped,),
    "cancelled": (WasCancelled,),
}
LAST = tuple(kind for kinds in ENDS.values() for kind in kinds)


@dataclass(frozen=True)
class Inventory:
    """What an account holds that costs money."""

    instances: frozenset[str]
    images: frozenset[str]
    snapshots: frozenset[str]


def inventory(lab: Lab, environment: str = "") -> Inventory:
    """Look at everything there is now, or at what has the tag of an environment."""
    ec2 = lab.aws.client("ec2", PEEK)
    images = ec2.describe_images(Owners=["self"])["Images"]
    snapshots = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]

    def ids(name: str, rows: list[Any]) -> frozenset[str]:
        return frozenset(r[name] for r in rows if environment in ("", _tags(r).get("Env")))

    return Inventory(
        ids("InstanceId", _instances(lab)), ids("ImageId", images), ids("SnapshotId", snapshots)
    )


def fleet(lab: Lab, environment: str, type: str, count: int, commit: str) -> Iterator[str]:
    """Exactly so many run: the lowest numbers, tagged, on the live commit, behind the balancer."""
    rows = [row for row in _instances(lab) if _tags(row).get("Env") == environment]
    mine = [row for row in rows if _tags(row).get("Type") == type]
    names = sorted(_tags(row).get("Name", row["InstanceId"]) for row in mine)
    wanted = sorted(f"{environment}{type}{n}" for n in range(1, count + 1))
    if names != wanted:
        yield f"there are {', '.join(names)} and not {', '.join(wanted)}"
    for row in mine:
        if row["State"]["Name"] != "running":
            yield f"{_tags(row).get('Name')} is {row['State']['Name']}"
    health = lab.fleet.health(environment)
    for name in sorted(set(names) | set(health)):
        if name not in names:
            if health[name] != "draining":  # its last requests, after it has left
                yield f"{name} is {health[name]} in the balancer, and no instance of {type}"
        elif health.get(name) != "healthy":
            yield f"{name} is {health.get(name, 'outside of the balancer')}"
        elif (answered := answer(lab.hosts[name])) != commit:
            yield f"{name} answers with {answered[:7]} and not {commit[:7]}"


def strays(lab: Lab, before: Inventory, operations: Collection[str] = ()) -> Iterator[str]:
    """Nothing is untagged or forgotten: no instance, volume, image or snapshot that is nobody's.

    What is new is of one of these operations, and none of them made two images of one master.
    """
    for row in _instances(lab):
        tags, id = _tags(row), row["InstanceId"]
        if missing := [tag for tag in TAGS if not tags.get(tag)]:
            yield f"{id} has no tag {', '.join(missing)}"
        if id not in before.instances and tags.get("Operation") not in operations:
            yield f"{tags.get('Name', id)} is of no operation, but of {tags.get('Operation')!r}"
    now, held, made = inventory(lab), set[str](), Counter[tuple[str, str]]()
    nobodys = []
    for row in lab.aws.client("ec2", PEEK).describe_images(Owners=["self"])["Images"]:
        tags, id = _tags(row), row["ImageId"]
        mine = tags.get("Operation", "")
        if id in before.images or mine in operations:
            disks = [disk.get("Ebs", {}) for disk in row.get("BlockDeviceMappings", ())]
            held |= {disk["SnapshotId"] for disk in disks if "SnapshotId" in disk}
        else:
            nobodys.append(id)
        made[mine, tags.get("Master", "")] += mine in operations
    for (operation, master), count in made.items():
        if count > 1:
            yield f"{operation} made {count} images of {master}"
    if nobodys:
        yield f"images are left: {', '.join(sorted(nobodys))}"
    if more := now.snapshots - before.snapshots - held:
        yield f"snapshots are left: {', '.join(sorted(more))}"
    for volume in lab.aws.client("ec2", PEEK).describe_volumes()["Volumes"]:
        holders = {each["InstanceId"] for each in volume["Attachments"]}
        if not holders & now.instances:
            yield f"{volume['VolumeId']} is a volume of no instance"


def locks(store: Store, environment: str = "") -> Iterator[str]:
    """Whatever was locked is free, and nobody works, in one environment or in all."""
    for operation in store.live(environment):
        yield f"#{operation.number} ({operation.line}) is still {operation.state}"
    for lock in store.locks.all():
        if environment in ("", lock.environment):
            yield f"{lock.environment} is locked: {lock.reason}"


def ended(store: Store, number: int) -> Iterator[str]:
    """The row of an operation and the end of its log say the same, and say it once."""
    operation = store.get(f"#{number}")
    if operation is None or operation.live:
        yield f"#{number} has not ended: {operation}"
        return
    ends = [e.event for e in store.entries(operation.id) if isinstance(e.event, LAST)]
    if len(ends) != 1:
        yield f"the log of #{number} ends {len(ends)} times: {ends}"
    elif not isinstance(ends[0], ENDS[operation.state]):
        yield f"#{number} is {operation.state}, and its log ends with {ends[0]}"


def plays(runs: Path, number: int, most: int) -> Iterator[str]:
    """No run of an operation began twice, there were at most so many, and never two at work."""
    spans: list[tuple[float, float, str]] = []
    for run in sorted(runs.glob(f"{number}-*")):
        lines = [json.loads(line) for line in _lines(run / "events.jsonl")]
        if times := [line["at"] for line in lines if "at" in line]:
            spans.append((min(times), max(times), run.name))
        begun = sum(line.get("event") == "playbook_on_start" for line in lines)
        if begun > 1:
            yield f"the playbook in {run.name} was begun {begun} times"
    if len(spans) > most:
        yield f"playbooks were begun {len(spans)} times, and not {most} at most"
    spans.sort()
    for (_, end, one), (start, _, other) in pairwise(spans):
        if start < end:
            yield f"{one} and {other} were at work at the same time"


def alone(*folders: Path) -> Iterator[str]:
    """No two operations were at work on one host at the same time, by what Ansible told.

    The folders are those of the runs, one of each machine that plays.
    """
    spans: dict[str, dict[int, tuple[float, float]]] = {}
    for run in (run for runs in folders for run in runs.glob("*-*")):
        number = int(run.name.partition("-")[0])
        for line in map(json.loads, _lines(run / "events.jsonl")):
            if (host := line.get("host")) and "at" in line:
                known = spans.setdefault(host, {}).get(number, (line["at"], line["at"]))
                span = (min(known[0], line["at"]), max(known[1], line["at"]))
                spans[host][number] = span
    for host, by in sorted(spans.items()):
        inner = sorted((*span, number) for number, span in by.items())
        for (_, end, one), (start, _, other) in pairwise(inner):
            if start < end:
                yield f"#{one} and #{other} were on {host} at the same time"


def _instances(lab: Lab) -> list[dict[str, Any]]:
    """Return every instance that is not gone, of whatever tags."""
    pages = lab.aws.client("ec2", PEEK).get_paginator("describe_instances").paginate()
    rows = pages.search("Reservations[].Instances[]")
    return [row for row in rows if row["State"]["Name"] not in ("terminated", "shutting-down")]


def _tags(row: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in row.get("Tags", ())}


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
