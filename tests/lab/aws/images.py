"""Images as AWS makes them: pending at first, named once, snapshots tagged too, or failing."""

from __future__ import annotations

import asyncio
import re

from tests.lab.aws.backend import Backend
from tests.lab.aws.wire import EC2, Answer, Refusal, Request, numbered

IMAGE_DELAY = 0.5  # seconds that an image is pending
SPECIFICATION = re.compile(r"TagSpecification\.(\d+)\.")


class Images:
    """Overlay of CreateImage and DeregisterImage."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.delay = IMAGE_DELAY
        self.failing = 0  # how many of the next images fail
        self.leaving = 0  # how many of the next that go leave their snapshots behind
        self.one_at_a_time = asyncio.Lock()

    async def create(self, request: Request) -> Answer:
        name = request.params.get("Name", "")
        params, snapshot_tags = _split(request)
        async with self.one_at_a_time:
            if taken := await self._named(name):
                text = f"AMI name {name} is already in use by AMI {taken}"
                raise Refusal("InvalidAMIName.Duplicate", text)
            fails = self.failing > 0
            answer = await self.backend.send(request.changed(params), delay=self.delay, fails=fails)
            if not answer.ok:
                return answer
            self.failing -= fails
        image = answer.tree().findtext("imageId") or ""
        if snapshot_tags:
            resources = numbered("ResourceId", await self._snapshots(image))
            await self.backend.ask_with("ec2", "CreateTags", {**resources, **snapshot_tags})
        return answer

    async def deregister(self, request: Request) -> Answer:
        delete = request.params.get("DeleteAssociatedSnapshots", "").lower() == "true"
        image = request.params.get("ImageId", "")
        snapshots = await self._snapshots(image) if delete else []
        answer = await self.backend.send(request)
        if not answer.ok or not snapshots:
            return answer
        rows = ""
        for snapshot in snapshots:
            code = "internal-error" if self.leaving else "success"
            try:
                if not self.leaving:
                    await self.backend.ask("ec2", "DeleteSnapshot", SnapshotId=snapshot)
            except Refusal as refusal:
                used = refusal.code == "InvalidSnapshot.InUse"
                code = "skipped" if used else "internal-error"
            rows += (
                f"<item><snapshotId>{snapshot}</snapshotId><returnCode>{code}</returnCode></item>"
            )
        self.leaving -= self.leaving > 0
        body = (
            f'<DeregisterImageResponse xmlns="{EC2}"><requestId>lab</requestId>'
            f"<return>true</return><deleteSnapshotResultSet>{rows}</deleteSnapshotResultSet>"
            "</DeregisterImageResponse>"
        )
        return Answer(200, body.encode())

    async def state(self, image: str) -> str:
        """The state of an image; raises Refusal where there is none."""
        tree = await self.backend.ask("ec2", "DescribeImages", **{"ImageId.1": image})
        return tree.findtext(".//imageState") or ""

    async def _named(self, name: str) -> str:
        filters = {"Owner.1": "self", "Filter.1.Name": "name", "Filter.1.Value.1": name}
        tree = await self.backend.ask_with("ec2", "DescribeImages", filters)
        return tree.findtext(".//imageId") or ""

    async def _snapshots(self, image: str) -> list[str]:
        try:
            tree = await self.backend.ask("ec2", "DescribeImages", **{"ImageId.1": image})
        except Refusal:
            return []
        return [e.text for e in tree.iterfind(".//blockDeviceMapping//snapshotId") if e.text]


def _split(request: Request) -> tuple[dict[str, str], dict[str, str]]:
    """Take the tags of snapshots out of a request, for which moto has no way."""
    of_snapshots = {
        number
        for name, value in request.params.items()
        if name.endswith(".ResourceType") and value == "snapshot"
        for number in SPECIFICATION.findall(name)
    }
    kept: dict[str, str] = {}
    tags: dict[str, str] = {}
    for name, value in request.params.items():
        found = SPECIFICATION.match(name)
        if not found or found[1] not in of_snapshots:
            kept[name] = value
        elif ".Tag." in name:
            tags["Tag." + name.partition(".Tag.")[2]] = value
    return kept, tags
