"""Many images of many masters, some of them needed, in a made-up AWS; and which of them may go.

Each image is made for a reason to stay, or for none: what may go is known from that, and from no
rule that Packlead has.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.store import Store
from tests.lab import aws as lab
from tests.lab import config, fleet
from tests.lab.address import Range

ENVIRONMENTS = ("prod", "puppystream", "puppycrate", "kennel")
TYPES = ("web", "celery", "manager", "search", "cron")
KEEP = 3
KEPT = (9, 12)  # of the releases of each environment, counted back from the newest
TEMPLATES = 9  # that users() makes
SEED = 20261124
STRANGER = "210987654321"
OLD = ""  # no reason to stay
NEW, YOUNG, PENDING = "among the newest", "young", "still being made"
BACK = "of a release that may come back"


@dataclass
class Shelf:
    """What there is: every image with why it must stay, and those that may go."""

    stays: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, str] = field(default_factory=dict)  # by image
    goes: dict[str, str] = field(default_factory=dict)  # image -> environment
    shared: set[str] = field(default_factory=set)  # snapshots that another image has, too
    releases: dict[str, list[tuple[int, str]]] = field(default_factory=dict)  # number, state

    def only(self, environment: str) -> None:
        """Expect no more than one environment to be pruned."""
        self.goes = {image: where for image, where in self.goes.items() if where == environment}

    def mistakes(self, cloud: lab.Aws) -> dict[str, int]:
        """Compare with what is left; all of it is 0 when exactly the right ones went."""
        ec2 = cloud.client("ec2", lab.PEEK)
        images = self._left(cloud)
        pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"])
        there = {row["SnapshotId"] for page in pages for row in page["Snapshots"]}
        held = {self.snapshots[image] for image in images & set(self.snapshots)} | self.shared
        return {
            "needed images gone": len(set(self.stays) - images),
            "old images left": len(set(self.goes) & images),
            "snapshots left behind": len((set(self.snapshots.values()) & there) - held),
            "needed snapshots gone": len(held - there),
        }

    def lost(self, cloud: lab.Aws) -> Counter[str]:
        """For what the images were needed that are gone."""
        return Counter(self.stays[image] for image in set(self.stays) - self._left(cloud))

    def _left(self, cloud: lab.Aws) -> set[str]:
        pages = cloud.client("ec2", lab.PEEK).get_paginator("describe_images")
        owners = ["self", STRANGER]
        return {i["ImageId"] for page in pages.paginate(Owners=owners) for i in page["Images"]}


def fill(cloud: lab.Aws, place: Range, images: int = 500) -> Shelf:
    """Make so many images of twenty masters, what uses some of them, and some of strangers."""
    cloud.image_delay = 0
    fleet.seed(cloud, place.subnet, {e: dict.fromkeys(TYPES, 1) for e in ENVIRONMENTS})
    ec2 = cloud.client("ec2", lab.PEEK)
    masters = _masters(ec2)
    dice, shelf, each = random.Random(SEED), Shelf(), images // len(masters)
    for environment in ENVIRONMENTS:
        shelf.releases[environment] = [
            (each - back, "healthy" if back in KEPT or back > max(KEPT) else "failed")
            for back in reversed(range(each))
        ]
    rows = [
        {**_row(master, instance, each - back, age), "state": state, "why": why}
        for place, (master, instance) in enumerate(masters.items())
        for back, (why, state, age) in enumerate(_row_of_fates(dice, each, place % 4 == 0))
    ]
    for row, (image, snapshot) in zip(rows, cloud.shelf(rows), strict=True):
        shelf.snapshots[image] = snapshot
        if row["why"]:
            shelf.stays[image] = row["why"]
        else:
            shelf.goes[image] = row["tags"]["Env"]
    states = dict(zip(shelf.snapshots, (row["state"] for row in rows), strict=True))
    idle = [image for image in shelf.goes if states[image] == "available"]
    dice.shuffle(idle)
    _use(cloud, ec2, shelf, iter(idle))
    _strangers(cloud, shelf, masters, rows)
    return shelf


def house(place: Path, cloud: lab.Aws, shelf: Shelf) -> dict[str, str]:
    """Make a bot's config and the releases it remembers; returns its environment."""
    place.mkdir(exist_ok=True)
    told = config.base(str(place / "app.git"), list(ENVIRONMENTS), place)
    told["types"] = {t: {"minimum": 1} for t in TYPES}
    told["environments"] = {e: {"channel": "C0OPS"} for e in ENVIRONMENTS}
    file = place / "packlead.toml"
    file.write_text("\n".join(config.lines(told)))
    Path(told["data"]).mkdir(parents=True, exist_ok=True)
    store = Store(f"sqlite:///{told['data']}/packlead.db")
    for environment, releases in shelf.releases.items():
        for number, state in releases:
            commit = _commit(environment, number)
            id = f"{environment}-{number}"
            store.releases.begin(environment, id, commit, "master", "Paint", "ada")
            store.releases.end(id, state)
    store.close()
    return {**cloud.env, "PACKLEAD_CONFIG": str(file)}


def _row_of_fates(
    dice: random.Random, count: int, busy: bool
) -> Iterator[tuple[str, str, timedelta]]:
    """Yield why it stays, state and age of one master's images, newest first.

    A busy master had all of its head made within the hour, also those beyond the newest three.
    """
    head = [(NEW, "available")] * KEEP
    head.insert(dice.randrange(KEEP), (YOUNG if busy else OLD, "failed"))
    head.insert(dice.randrange(KEEP), (PENDING, "pending"))
    if busy:
        head += [(YOUNG, "available")] * 2
    for back in range(count):
        why, state = OLD, dice.choices(("available", "failed", "pending"), (94, 3, 3))[0]
        age = timedelta(days=back, hours=dice.randrange(2, 20))
        if back < len(head):
            why, state = head[back]
            age = timedelta(minutes=1 + 4 * back) if busy else age
        elif back in KEPT:
            why, state = BACK, "available"
        elif state == "pending":
            why = PENDING
        yield why, state, age


def _masters(ec2: Any) -> dict[str, str]:
    found = {}
    for page in ec2.get_paginator("describe_instances").paginate():
        for instance in (i for r in page["Reservations"] for i in r["Instances"]):
            tags = {t["Key"]: t["Value"] for t in instance.get("Tags", ())}
            if tags.get("Env") in ENVIRONMENTS:
                found[tags["Name"]] = instance["InstanceId"]
    return dict(sorted(found.items()))


def _row(master: str, instance: str, number: int, age: timedelta) -> dict[str, Any]:
    environment = next(e for e in ENVIRONMENTS if master.startswith(e))
    tags = {
        "Name": f"app-{master}-{number:04}", "Env": environment, "Master": master,
        "Type": master.removeprefix(environment).rstrip("0123456789"), "Release": str(number),
        "Commit": _commit(environment, number), "Operation": f"{environment}-{number}",
    }  # fmt: skip
    return {
        "instance": instance, "name": tags["Name"], "tags": tags, "state": "available",
        "created": (datetime.now(UTC) - age).timestamp(),
    }  # fmt: skip


def _commit(environment: str, number: int) -> str:
    return f"{ENVIRONMENTS.index(environment):x}{number:039x}"


def _use(cloud: lab.Aws, ec2: Any, shelf: Shelf, idle: Iterator[str]) -> None:
    """Have instances, templates in old versions and scaling groups need some of the images.

    They are as many in any world: where few images are old, new ones are used.
    """
    scaling = cloud.client("autoscaling", lab.PEEK)
    new = [image for image, why in shelf.stays.items() if why == NEW]

    def take(why: str) -> str:
        image = next(idle, "")
        if not image:
            return new[0]
        shelf.stays[image] = why
        del shelf.goes[image]
        return image

    def template(name: str, *whys: str) -> None:
        first, *later = [{"ImageId": take(why)} for why in whys]
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=first)
        for data in later:
            ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=data)

    def group(name: str, **of: Any) -> None:
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=0, MaxSize=0, **of,
            AvailabilityZones=[f"{lab.Aws.region}a"],
        )  # fmt: skip

    for number in range(8):
        image = take("a stopped instance" if number % 2 else "an instance")
        made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.small")
        if number % 2:
            ec2.stop_instances(InstanceIds=[made["Instances"][0]["InstanceId"]])
    for number in range(TEMPLATES - 3):
        template(f"template-{number}", "an old version of a template", "a version of a template")
    for number, version in enumerate(("1", "$Latest", "$Default")):
        whys = ["a group's template"] if number == 0 else ["an old version of a template"] * 2
        template(f"group-{number}", *whys)
        group(
            f"group-{number}",
            LaunchTemplate={"LaunchTemplateName": f"group-{number}", "Version": version},
        )
    for number in range(4):
        name, last = f"configured-{number}", number == 3
        scaling.create_launch_configuration(
            LaunchConfigurationName=name, InstanceType="t3.small",
            ImageId=take("a configuration without a group" if last else "a configuration"),
        )  # fmt: skip
        if not last:
            group(name, LaunchConfigurationName=name)


def _strangers(
    cloud: lab.Aws, shelf: Shelf, masters: dict[str, str], rows: list[dict[str, Any]]
) -> None:
    """Add what is not Packlead's: without its tags, with some, of another account; old, all."""
    hands, names = list(masters.items()), [row["name"] for row in rows]
    age = timedelta(days=99)
    plain = [{**_row(m, i, 1, age), "tags": {"Name": "by hand"}} for m, i in hands[:10]]
    half = [_row(m, i, 2, age) for m, i in hands[:4]]
    for row in half:
        del row["tags"]["Type"]
    abroad = [
        {**_row(m, i, 3, age), "name": name, "tags": {}, "owner": STRANGER}
        for (m, i), name in zip(hands[:5], names, strict=False)
    ]
    for row, (image, snapshot) in zip(
        (*plain, *half, *abroad), cloud.shelf([*plain, *half, *abroad]), strict=True
    ):
        shelf.stays[image] = "of another account" if "owner" in row else "not ours"
        shelf.snapshots[image] = snapshot


def share(cloud: lab.Aws, shelf: Shelf, image: str) -> str:
    """Have somebody make an image by hand of the snapshot of another; returns the snapshot."""
    instance = next(iter(_masters(cloud.client("ec2", lab.PEEK)).items()))
    snapshot = shelf.snapshots[image]
    row = {**_row(*instance, 4, timedelta(days=50)), "tags": {}, "snapshot": snapshot}
    [(made, _)] = cloud.shelf([{**row, "name": "by hand of a snapshot"}])
    shelf.stays[made], shelf.snapshots[made] = "not ours", snapshot
    shelf.shared.add(snapshot)
    return snapshot
