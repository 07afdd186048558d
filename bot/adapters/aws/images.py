"""Images that Packlead makes of masters: told apart by tags, found again by name."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from bot.adapters.aws.described import TAG_LIMIT, tags_of
from bot.adapters.aws.errors import Answered
from bot.adapters.aws.records import Image, Instance
from bot.adapters.aws.session import Session
from bot.errors import Failed

NAME_LIMIT = 128
PAGE = 1000  # the most that EC2 gives at once
PATIENCE = 30  # seconds that a new image may stay invisible: EC2 tells its machines one by one


class Images(Session):
    """How images are made and found."""

    def image(self, instance: Instance, name: str, tags: dict[str, str]) -> Image:
        """Begin an image of a master without stopping it; done again, it returns the first one.

        So `name` stands for the operation and the master: EC2 gives a name only once. Image and
        snapshots are tagged in the same call: a crash cannot leave one behind without tags. Env,
        Type and Master are added to the tags here; Release, Commit and Operation are the caller's.
        """
        name, doing = legal_name(name), f"making an image of {instance.name}"
        found = self._image_named(doing, name)
        if found:
            return found
        has = {
            **tags,
            "Name": name,
            "Env": instance.environment,
            "Type": instance.type,
            "Master": instance.name,
        }
        tagged = [{"Key": k, "Value": v[:TAG_LIMIT]} for k, v in has.items() if v]
        try:
            made = self._call(
                doing,
                "ec2",
                "create_image",
                InstanceId=instance.id,
                Name=name,
                Description=f"{instance.name}, made by Packlead",
                NoReboot=True,
                TagSpecifications=[
                    {"ResourceType": kind, "Tags": tagged} for kind in ("image", "snapshot")
                ],
            )
        except Answered as error:
            if error.code != "InvalidAMIName.Duplicate":
                raise
            # An earlier call was heard and its answer was lost: that image is ours.
            return self._image_soon(doing, name)
        return _image(
            {"ImageId": made["ImageId"], "Name": name, "State": "pending", "Tags": tagged}
        )

    def look_at_image(self, id: str) -> Image | None:
        """Return an image as it stands now, or None where EC2 does not (yet) know it."""
        try:
            answer = self._call(
                f"looking at the image {id}", "ec2", "describe_images", ImageIds=[id]
            )
        except Answered as error:
            if error.code in {"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"}:
                return None
            raise
        return next((_image(i) for i in answer["Images"]), None)

    def wait_image(self, id: str, timeout: float = 1800, poll: float = 1) -> Image:
        """Return an image when it is available."""
        doing, seen = f"waiting for the image {id}", list[Image]()

        def missing() -> str:
            image = self.look_at_image(id)
            if image is None:
                return "AWS does not know it"
            seen.append(image)
            if image.state in {"failed", "error", "invalid", "deregistered"}:
                raise Failed(
                    f"{doing} of {image.master or image.name}: it is {image.state}"
                    + (f" ({image.reason})" if image.reason else ""),
                    "the deploy stands; the next deploy makes another image",
                )
            return "" if image.state == "available" else f"it is still {image.state}"

        self._until(missing, timeout, poll, doing)
        return seen[-1]

    def images(self, environment: str = "") -> tuple[Image, ...]:
        """Return the images that Packlead made, of one environment or all, newest first."""
        of = [{"Name": "tag:Env", "Values": [environment]}] if environment else []
        answer = self._all(
            f"asking AWS for the images of {environment or 'all environments'}",
            "ec2",
            "describe_images",
            Owners=["self"],
            Filters=[*of, {"Name": "tag-key", "Values": ["Master"]}],
            PaginationConfig={"PageSize": PAGE},
        )
        found = (_image(i) for i in answer["Images"])
        return tuple(sorted(found, key=lambda i: (i.created, i.name, i.id), reverse=True))

    def _image_named(self, doing: str, name: str) -> Image | None:
        answer = self._all(
            doing,
            "ec2",
            "describe_images",
            Owners=["self"],
            Filters=[{"Name": "name", "Values": [name]}],
        )
        return next((_image(i) for i in answer["Images"]), None)

    def _image_soon(self, doing: str, name: str) -> Image:
        seen: list[Image] = []

        def missing() -> str:
            found = self._image_named(doing, name)
            if found:
                seen.append(found)
            return "" if found else f"AWS has an image named {name} and does not show it"

        self._until(missing, PATIENCE, 0.5, doing)
        return seen[-1]


def legal_name(name: str) -> str:
    """Return a name as EC2 allows it; a digest keeps apart what would look alike then."""
    plain = re.sub(r"[^A-Za-z0-9()./_ -]", "-", name)
    if plain == name and 3 <= len(name) <= NAME_LIMIT:
        return name
    return f"{plain[: NAME_LIMIT - 13]} {hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _image(data: dict[str, Any]) -> Image:
    has = tags_of(data)
    mapped = data.get("BlockDeviceMappings", ())
    disks = [d.get("Ebs", {}) for d in mapped]
    return Image(
        id=data["ImageId"],
        name=data.get("Name", ""),
        state=data.get("State", ""),
        created=data.get("CreationDate", ""),
        environment=has.get("Env", ""),
        type=has.get("Type", ""),
        master=has.get("Master", ""),
        release=has.get("Release", ""),
        commit=has.get("Commit", ""),
        snapshots=tuple(d["SnapshotId"] for d in disks if "SnapshotId" in d),
        operation=has.get("Operation", ""),
        reason=data.get("StateReason", {}).get("Message", ""),
        disks=tuple(sorted(d["DeviceName"] for d in mapped if "Ebs" in d)),
        gigabytes=sum(int(d.get("VolumeSize") or 0) for d in disks),
    )
