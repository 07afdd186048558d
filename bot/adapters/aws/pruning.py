"""Pruning: images go, then their snapshots, and what an interrupted night has left of these."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bot.adapters.aws.described import MADE, carries, tags_of
from bot.adapters.aws.errors import Answered
from bot.adapters.aws.images import PAGE, Images
from bot.adapters.aws.instances import VALUES
from bot.adapters.aws.records import Image, Snapshot
from bot.errors import Failed, Refused

GONE = {"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"}
# How EC2 describes the snapshots of an image. A copy of one says so before: it is not ours.
OF_IMAGE = re.compile(r"Created by CreateImage\(i-[0-9a-f]+\) for (ami-[0-9a-f]+)")


class Pruning(Images):
    """How images and snapshots are removed: what does not carry our tags never is."""

    def not_ours(self, images: tuple[Image, ...]) -> tuple[tuple[str, str], ...]:
        """Return (id, why) of images that may not be removed; asked in pages, not one by one."""
        wrong: list[tuple[str, str]] = []
        for at in range(0, len(images), VALUES):
            some = {image.id: image for image in images[at : at + VALUES]}
            rows = self._looked_up(f"looking again at {len(some)} images", list(some))
            for id, row in rows.items():
                try:
                    _check_ours(_removing(some[id]), row, some[id])
                except Refused as error:
                    wrong.append((id, error.text))
        return tuple(wrong)

    def deregister(self, image: Image, checked: bool = False) -> None:
        """Remove an image and then its snapshots; fine if some or all of them are gone.

        It is looked at first, unless it was `checked` together with others just before.
        """
        doing = _removing(image)
        known = checked
        its_own = set(image.snapshots) if checked else set[str]()
        if not checked and (row := self._looked_up(doing, [image.id]).get(image.id)):
            _check_ours(doing, row, image)
            known, its_own = True, set(_snapshots(row))
        deleted = self._deregister(doing, image.id) if known else None
        if deleted is None:  # it had gone before: whose its snapshots are now is to be asked
            deleted, its_own = set(), set()
        kept: list[str] = []
        for id in sorted(its_own.union(image.snapshots) - deleted):
            if id not in its_own and self._is_gone(doing, id):
                continue
            if not self._delete(doing, id):
                kept.append(id)
        if kept:
            raise Failed(
                f"{doing}: the image is gone, and its snapshot {', '.join(kept)} is in use",
                "look at which other image was made of it; the next prune tries again",
            )

    def orphans(self, environment: str = "") -> tuple[Snapshot, ...]:
        """Return the snapshots of images of ours that are gone, oldest first.

        Snapshots are listed before images: whatever is new in between is an image too many, and
        never a snapshot whose image only is not listed yet.
        """
        where = f"of {environment or 'all environments'}"
        doing = f"asking AWS for the snapshots {where}"
        by = {"tag:Env": [environment]} if environment else {}
        rows = self._snapshots(doing, {**by, "tag-key": ["Master"]})
        found = [s for row in rows if (s := _orphan(row))]
        if not found:
            return ()
        images = self._all(
            doing,
            "ec2",
            "describe_images",
            Owners=["self"],  # all of them: somebody may have registered one by hand
            IncludeDisabled=True,
            PaginationConfig={"PageSize": PAGE},
        ).get("Images", ())
        used = {image["ImageId"] for image in images}.union(*map(_snapshots, images))
        left = (s for s in found if s.image not in used and s.id not in used)
        return tuple(sorted(left, key=lambda s: (s.created, s.id)))

    def delete_snapshot(self, id: str) -> None:
        """Delete a snapshot of an image of ours; fine if it is gone."""
        doing = f"deleting the snapshot {id}"
        if not self._is_gone(doing, id) and not self._delete(doing, id):
            raise Failed(f"{doing}: an image uses it", "look at which image was made of it")

    def _looked_up(self, doing: str, ids: list[str]) -> dict[str, dict[str, Any]]:
        """Return images by id, whoever owns them; what EC2 does not know is left out."""
        answer = self._all(
            doing,
            "ec2",
            "describe_images",
            Filters=[{"Name": "image-id", "Values": ids}],
            IncludeDisabled=True,
            PaginationConfig={"PageSize": PAGE},
        )
        return {row["ImageId"]: row for row in answer.get("Images", ())}

    def _deregister(self, doing: str, id: str) -> set[str] | None:
        """Deregister an image: the snapshots that went with it, None where it had gone before."""
        try:
            answer = self._call(
                doing, "ec2", "deregister_image", ImageId=id, DeleteAssociatedSnapshots=True
            )
        except Answered as error:
            if error.code in GONE:
                return None
            raise
        results = answer.get("DeleteSnapshotResults", ())
        return {r["SnapshotId"] for r in results if r.get("ReturnCode") == "success"}

    def _delete(self, doing: str, id: str) -> bool:
        """Delete a snapshot; False if an image uses it."""
        try:
            self._call(doing, "ec2", "delete_snapshot", SnapshotId=id)
        except Answered as error:
            if error.code == "InvalidSnapshot.InUse":
                return False
            if error.code != "InvalidSnapshot.NotFound":
                raise
        return True

    def _is_gone(self, doing: str, id: str) -> bool:
        """Is a snapshot gone? Refused if it is there and not ours."""
        rows = self._snapshots(doing, {"snapshot-id": [id]})
        if rows and not carries(rows[0], MADE):
            raise Refused(
                f"{doing}: the snapshot {id} has not all of the tags {', '.join(MADE)}",
                "Packlead deletes the snapshots of its own images only",
            )
        return not rows

    def _snapshots(self, doing: str, by: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        answer = self._all(
            doing,
            "ec2",
            "describe_snapshots",
            OwnerIds=["self"],
            Filters=[{"Name": name, "Values": values} for name, values in by.items()],
            PaginationConfig={"PageSize": PAGE},
        )
        return list(answer.get("Snapshots", ()))


def _removing(image: Image) -> str:
    return f"removing the image {image.id} of {image.master or image.name}"


def _check_ours(doing: str, row: Mapping[str, Any], image: Image) -> None:
    has = tags_of(row)
    now = tuple(has.get(key, "") for key in MADE)
    if not all(now):
        raise Refused(
            f"{doing}: it has not all of the tags {', '.join(MADE)}",
            "Packlead removes only images that it has made",
        )
    if now != (image.environment, image.type, image.master):
        raise Refused(
            f"{doing}: its tags have been changed to {', '.join(now)}",
            "list them anew: images",
        )


def _snapshots(row: Mapping[str, Any]) -> Iterable[str]:
    disks = (d.get("Ebs", {}) for d in row.get("BlockDeviceMappings", ()))
    return [d["SnapshotId"] for d in disks if d.get("SnapshotId")]


def _orphan(row: Mapping[str, Any]) -> Snapshot | None:
    """Return a snapshot of an image of ours; None for others, and while it is being made."""
    found = OF_IMAGE.match(row.get("Description", ""))
    if not found or not carries(row, MADE) or row.get("State") == "pending":
        return None
    started = row.get("StartTime")
    return Snapshot(
        id=row["SnapshotId"],
        image=found[1],
        environment=tags_of(row)["Env"],
        created=started.isoformat() if started else "",
    )
