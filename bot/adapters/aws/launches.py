"""Launches: copies of a master, all at the same time, each of them once."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bot.adapters.aws.copies import BURSTABLE, Model, copy, operation_tag
from bot.adapters.aws.described import instance, tags_of
from bot.adapters.aws.errors import AILING, Answered, Late, Throttled
from bot.adapters.aws.images import Images
from bot.adapters.aws.instances import PATIENCE, THERE, Instances
from bot.adapters.aws.records import Instance, Launch
from bot.errors import Failed, Refused

WIDTH = 20  # calls at the same time, as many as the session keeps connections
FULL = {"InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientCapacity"}
LIMIT = {"InstanceLimitExceeded", "VcpuLimitExceeded"}
NO_KEY_PAIR = "InvalidKeyPair.NotFound"  # its name stays with the master when it is deleted
NO_IMAGE = {"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidAMIID.Malformed"}


class Launches(Instances, Images):
    """How instances are launched.

    A name in an operation stands for one instance, however often it is asked for: the tag Operation
    finds what was launched before, and where EC2 does not show it yet, the client token does.
    """

    def launch(
        self,
        master: Instance,
        image: str,
        names: tuple[str, ...],
        operation: str,
        subnets: tuple[str, ...] = (),
    ) -> tuple[Launch, ...]:
        """Launch a copy of a master for each name; one that AWS does not give has a trouble.

        `subnets` are those of the names, in their order; without them all go to the master's.
        """
        doing = f"launching {', '.join(names)}"
        places = dict(zip(names, subnets, strict=False))
        made = self._launched(doing, master, operation)
        left = [name for name in dict.fromkeys(names) if name not in made]
        done = {name: Launch(name, made[name]) for name in names if name in made}
        if left:
            model = self._model(doing, master, image)
            with ThreadPoolExecutor(min(len(left), WIDTH)) as pool:
                new = pool.map(
                    lambda n: self._launch(master, model, image, n, operation, places.get(n, "")),
                    left,
                )
                done |= {launch.name: launch for launch in new}
        return tuple(done[name] for name in names)

    def _launch(
        self,
        master: Instance,
        model: Model,
        image: str,
        name: str,
        operation: str,
        subnet: str = "",
    ) -> Launch:
        """Ask, with the same token, until it is certain what has come of it."""
        doing, outcome = f"launching {name}", list[Launch]()
        asked = copy(model, image, name, operation, master.environment, master.type, subnet)

        def missing() -> str:
            try:
                answer = self._call(doing, "ec2", "run_instances", **asked)
            except Throttled:
                raise
            except Answered as error:
                if error.code in AILING:
                    return _reason(error, doing)
                if error.code == "IdempotentParameterMismatch":  # its master has changed since
                    found = self._launched(doing, master, operation).get(name)
                    if found is None:
                        return "AWS has launched it before and does not show it"
                    outcome.append(Launch(name, found))
                elif error.code == NO_KEY_PAIR and asked.pop("KeyName", ""):
                    return "the key pair of its master is gone"  # the image lets us in even so
                else:
                    trouble = self._trouble(error, doing, model, image, subnet)
                    outcome.append(Launch(name, None, trouble))
            except Failed as error:  # not reached, or it was and the answer was not
                return _reason(error, doing)
            else:
                outcome.append(Launch(name, instance(answer["Instances"][0])))
            return ""

        try:
            self._until(missing, PATIENCE, 1, doing)
        except Late as late:
            # Whether the last question was heard is not certain: if we cannot even look, say so.
            found = self._launched(doing, master, operation).get(name)
            return Launch(name, found, "" if found else _reason(late, doing))
        return outcome[-1]

    def _launched(self, doing: str, master: Instance, operation: str) -> dict[str, Instance]:
        """Return what an operation has launched for an environment and is not gone, by name."""
        rows = self._described(
            doing,
            {
                "tag:Operation": [operation_tag(operation)],
                "tag:Env": [master.environment],
                "instance-state-name": THERE,
            },
        )
        ours = (r for r in rows if tags_of(r).get("Operation") == operation_tag(operation))
        return {tags_of(row).get("Name", ""): instance(row) for row in ours}

    def _model(self, doing: str, master: Instance, image: str) -> Model:
        row = self._by_id(doing, [master.id]).get(master.id)
        if row is None or row["State"]["Name"] not in THERE:
            raise Refused(
                f"{doing}: the master {master.name} ({master.id}) is gone",
                "say it again: the next one is the master then",
            )
        data = self._call(
            doing,
            "ec2",
            "describe_instance_attribute",
            InstanceId=master.id,
            Attribute="userData",
        )
        user_data = base64.b64decode(data.get("UserData", {}).get("Value") or "")
        found = self.look_at_image(image)
        disks = found.disks if found else ()
        return Model(row, user_data, self._credits(doing, row), disks)

    def _credits(self, doing: str, row: dict[str, Any]) -> str:
        if not BURSTABLE.match(row["InstanceType"]):
            return ""
        answer = self._call(
            doing,
            "ec2",
            "describe_instance_credit_specifications",
            InstanceIds=[row["InstanceId"]],
        )
        found = answer.get("InstanceCreditSpecifications", ())
        return next((str(f.get("CpuCredits", "")) for f in found), "")

    def _trouble(self, error: Answered, doing: str, model: Model, image: str, subnet: str) -> str:
        """Return, as one sentence, why AWS does not launch it."""
        kind = model.described["InstanceType"]
        if error.code in FULL:
            zone = model.described.get("Placement", {}).get("AvailabilityZone") or "this zone"
            zone = f"the zone of {subnet}" if subnet else zone
            return f"AWS has no more {kind} in {zone} at the moment"
        if error.code in LIMIT:
            return f"the account's limit for instances like {kind} is reached ({error.code})"
        if error.code == "InsufficientFreeAddressesInSubnet":
            place = subnet or model.described.get("SubnetId")
            return f"the subnet {place} has no free address left"
        if error.code == "IdempotentInstanceTerminated":
            return "this operation has launched it before, and it has been terminated since"
        if error.code in NO_IMAGE:
            return self._no_image(image) or _reason(error, doing)
        return _reason(error, doing)

    def _no_image(self, id: str) -> str:
        try:
            image = self.look_at_image(id)
        except Failed:
            return ""  # then AWS's own words have to do
        if image is None:
            return f"AWS knows no image {id}"
        if image.state == "available":
            return ""
        return f"the image {id} is {image.state}" + (f" ({image.reason})" if image.reason else "")


def _reason(error: Failed, doing: str) -> str:
    return error.text.removeprefix(f"{doing}: ")
