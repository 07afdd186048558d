"""Figure e: 500 images of 20 masters, pruned by Packlead, by Cloud Custodian, and by 'keep three'.

Each gets the same world, made anew. Mistakes are images that are needed and went, old ones that
stayed, and snapshots without an image.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.bench.bot import ROOT
from tests.bench.table import Figure
from tests.lab import aws as lab
from tests.lab import many_images
from tests.lab.address import claim
from tests.lab.many_images import ENVIRONMENTS, KEEP, Shelf

OUR_NAME = f"Packlead, {len(ENVIRONMENTS)} times"  # a run for each environment
VERSION = "0.9.53"
PLACE = ROOT / ".lab" / f"c7n-{VERSION}"
LOOKS = ("Describe", "Get", "List")
OURS = [{"tag:Env": "present"}, {"tag:Type": "present"}, {"tag:Master": "present"}]
IDLE = [{"type": "image-age", "days": 1 / 24, "op": "ge"}, {"type": "unused", "value": True}]
GO = [{"type": "deregister", "delete-snapshots": True}]
# The best of its own filters: of each master's available images all but the newest three, and all
# that failed; older than our hour; nothing runs from it. There is no word for a version of a launch
# template, or a launch configuration, that no group has at the moment, nor for a release that may
# come back: `unused` asks for instances and Auto Scaling groups, `value_from` for a list by hand.
NEWEST = {
    "type": "reduce",
    "group-by": "tag:Master",
    "sort-by": "CreationDate",
    "order": "desc",
    "discard": KEEP,
}
POLICY = {
    "policies": [
        {
            "name": "old",
            "resource": "aws.ami",
            "filters": [*OURS, {"State": "available"}, NEWEST, *IDLE],
            "actions": GO,
        },
        {
            "name": "failed",
            "resource": "aws.ami",
            "filters": [*OURS, {"State": "failed"}, *IDLE],
            "actions": GO,
        },
    ]
}
Contestant = Callable[[Path, lab.Aws, Mapping[str, str]], str]


def measure(images: int) -> Iterator[Figure]:
    """Let each prune the same images; prints calls, seconds and mistakes."""
    for name, prune in (
        (OUR_NAME, packlead), ("Cloud Custodian", custodian), ("keep three", naive),
    ):  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            yield one(name, prune, Path(folder), images)


def one(name: str, prune: Contestant, folder: Path, images: int) -> Figure:
    place = claim()
    try:
        with lab.Aws(place.services, folder / "aws") as cloud:
            shelf = many_images.fill(cloud, place, images)
            env = many_images.house(folder, cloud, shelf)
            cloud.log.clear()
            began = time.monotonic()
            trouble = prune(folder, cloud, env)
            seconds = time.monotonic() - began
            return figure(name, cloud, shelf, seconds, trouble)
    finally:
        place.free()


def figure(name: str, cloud: lab.Aws, shelf: Shelf, seconds: float, trouble: str) -> Figure:
    title = f"e. prune {len(shelf.snapshots)} images, {len(shelf.goes)} may go: {name}"
    ours = name == OUR_NAME
    if trouble:
        return Figure(title, f"not measured: {trouble}", broken=ours)
    calls = Counter("looks" if c.action.startswith(LOOKS) else "changes" for c in cloud.log)
    found = shelf.mistakes(cloud)
    told = ", ".join(f"{number} {what}" for what, number in found.items() if number)
    if lost := shelf.lost(cloud).most_common():
        print(f"{name} let go: {', '.join(f'{number} {why}' for why, number in lost)}")
    said = f"{calls['looks']} looks, {calls['changes']} changes, {seconds:.1f} s; "
    wanted = "no mistake" if ours else ""
    return Figure(title, said + (told or "no mistake"), wanted, broken=ours and bool(told))


def packlead(_folder: Path, _cloud: lab.Aws, env: Mapping[str, str]) -> str:
    """`packlead run "prune ENV"` for each environment, as its clock would say it."""
    for environment in ENVIRONMENTS:
        words = [sys.executable, "-m", "bot", "run", f"prune {environment} --limit 999"]
        ran = subprocess.run(
            words, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=600
        )
        if ran.returncode:
            return (ran.stdout + ran.stderr).strip()[-300:]
    return ""


def custodian(folder: Path, _cloud: lab.Aws, env: Mapping[str, str]) -> str:
    """`custodian run` with the policy above."""
    program = fetched()
    if program is None:
        return f"c7n {VERSION} cannot be had"
    (folder / "policy.json").write_text(json.dumps(POLICY))
    words = [str(program), "run", "--region", "us-east-1", "--cache-period", "0"]
    words += ["-s", str(folder / "told"), str(folder / "policy.json")]
    ran = subprocess.run(
        words, env={**os.environ, **env, "HOME": str(folder)}, capture_output=True, text=True,
        timeout=600,
    )  # fmt: skip
    return (ran.stdout + ran.stderr).strip()[-300:] if ran.returncode else ""


def naive(_folder: Path, cloud: lab.Aws, _env: Mapping[str, str]) -> str:
    """The talk's way, as it is told: a master's newest three by name stay, the rest goes."""
    ec2 = cloud.client("ec2")
    masters: dict[str, list[tuple[str, str]]] = {}
    for image in ec2.describe_images(Owners=["self"])["Images"]:
        tags = {t["Key"]: t["Value"] for t in image.get("Tags", ())}
        if "Master" in tags:
            masters.setdefault(tags["Master"], []).append((image["Name"], image["ImageId"]))
    for images in masters.values():
        for _, image in sorted(images)[:-KEEP]:
            ec2.deregister_image(ImageId=image)
    return ""


def fetched() -> Path | None:
    """Return Cloud Custodian's program, in a virtual environment of its own."""
    program = PLACE / "bin" / "custodian"
    if not program.exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(PLACE)], capture_output=True)
        words = [str(PLACE / "bin" / "python"), "-m", "pip", "install", "-q", f"c7n=={VERSION}"]
        if made.returncode or subprocess.run(words, capture_output=True).returncode:
            return None
    return program
