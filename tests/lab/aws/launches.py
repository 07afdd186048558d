"""RunInstances as AWS does it: once per client token, as far as capacity and addresses go."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from tests.lab.aws.backend import Backend
from tests.lab.aws.faults import CAPACITY
from tests.lab.aws.images import Images
from tests.lab.aws.wire import Answer, Refusal, Request

DISK = r"BlockDeviceMapping\.\d+\.DeviceName"
UNSIGNED = ("ClientToken", "Action", "Version")


@dataclass(frozen=True)
class Launch:
    params: dict[str, str]
    answer: Answer


class Launches:
    """Overlay of RunInstances."""

    def __init__(self, backend: Backend, images: Images) -> None:
        self.backend, self.images = backend, images
        self.subnet = ""  # where instances go that name none, as in a default VPC
        self.capacity: int | None = None  # how many instances may still be launched
        self.done: dict[str, Launch] = {}
        self.one_at_a_time = asyncio.Lock()

    async def run(self, request: Request) -> Answer:
        token = request.params.get("ClientToken", "")
        same = {k: v for k, v in request.params.items() if k not in UNSIGNED}
        async with self.one_at_a_time:
            if before := self.done.get(token):
                if before.params == same:
                    return before.answer
                text = f"a request with clientToken {token} was made before with other arguments"
                raise Refusal("IdempotentParameterMismatch", text)
            answer = await self._launch(request)
            if token and answer.ok:
                self.done[token] = Launch(same, answer)
            return answer

    async def _launch(self, request: Request) -> Answer:
        params = dict(request.params)
        if params.get("DryRun") == "true":
            return await self.backend.send(request)
        await self._check_image(params)
        params |= await self._disks(params)
        if pair := params.get("KeyName"):  # moto takes any; this raises InvalidKeyPair.NotFound
            await self.backend.ask("ec2", "DescribeKeyPairs", **{"KeyName.1": pair})
        if self.subnet and not any(k.endswith("SubnetId") for k in params):
            params["SubnetId"] = self.subnet
        least, most = int(params.get("MinCount", 1)), int(params.get("MaxCount", 1))
        if self.capacity is not None:
            most = min(most, self.capacity)
            if most < least:
                raise Refusal(*CAPACITY)
        await self._check_addresses(params, least)
        params |= {"MinCount": str(most), "MaxCount": str(most)}  # moto makes MinCount of them
        answer = await self.backend.send(request.changed(params))
        if answer.ok and self.capacity is not None:
            self.capacity -= most
        return answer

    async def _check_image(self, params: dict[str, str]) -> None:
        image = params.get("ImageId", "")
        if image and await self.images.state(image) != "available":
            raise Refusal("InvalidAMIID.Unavailable", f"The image ID '{image}' is not available")

    async def _disks(self, params: dict[str, str]) -> dict[str, str]:
        """What a mapping leaves out is the image's; in moto every host has a disk of 8 GB."""
        named = {k: v for k, v in params.items() if re.fullmatch(DISK, k)}
        if not named:
            return {}
        image = {"ImageId.1": params.get("ImageId", "")}
        tree = await self.backend.ask("ec2", "DescribeImages", **image)
        has = {e.text for e in tree.iterfind(".//blockDeviceMapping/item/deviceName")}
        if strange := set(named.values()) - has:
            text = f"Invalid device name {', '.join(sorted(strange))}"
            raise Refusal("InvalidBlockDeviceMapping", text)
        sizes = {k.replace("DeviceName", "Ebs.VolumeSize"): "8" for k in named}
        return {k: v for k, v in sizes.items() if k not in params}

    async def _check_addresses(self, params: dict[str, str], count: int) -> None:
        subnet = params.get("SubnetId", "")
        if not subnet:
            return
        tree = await self.backend.ask("ec2", "DescribeSubnets", **{"SubnetId.1": subnet})
        if int(tree.findtext(".//availableIpAddressCount") or 0) < count:
            text = f"The specified subnet '{subnet}' does not have enough free addresses"
            raise Refusal("InsufficientFreeAddressesInSubnet", text)
