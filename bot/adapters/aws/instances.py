"""Instances: look at them, wait until they run, end them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.adapters.aws.described import OURS, carries, instance, tags_of
from bot.adapters.aws.errors import Answered, Late
from bot.adapters.aws.records import Instance
from bot.adapters.aws.session import Session
from bot.errors import Refused

THERE = ("pending", "running", "stopping", "stopped")
PAGE = 1000  # the most that EC2 gives at once
VALUES = 200  # the most that a filter takes
PATIENCE = 120  # seconds for which EC2 may not show what it has just made


class Instances(Session):
    """How instances are looked at and ended.

    They are always looked up by filters: a filter leaves out what EC2 does not know yet, where
    asking for an id that is one second old is an error.
    """

    def wait_running(
        self, ids: tuple[str, ...], timeout: float = 300.0, poll: float = 0.5
    ) -> tuple[Instance, ...]:
        """Return those that run when all do, or when `timeout` has passed; no others."""
        doing = f"waiting until {', '.join(ids)} run"
        looks: list[dict[str, Instance]] = []

        def missing() -> str:
            rows = self._by_id(doing, ids)
            looks.append({id: instance(row) for id, row in rows.items()})
            late = [id for id in ids if id not in rows or rows[id]["State"]["Name"] == "pending"]
            return f"AWS does not yet run {', '.join(late)}" if late else ""

        try:
            self._until(missing, timeout, poll, doing)
        except Late:
            if not looks:
                raise
        found = (looks[-1].get(id) for id in ids)
        return tuple(i for i in found if i and i.state == "running")

    def reasons(self, ids: tuple[str, ...]) -> dict[str, str]:
        """Return why instances do not run, where EC2 says so, by id."""
        rows = self._by_id(f"asking AWS why {', '.join(ids)} did not start", ids)
        told = {id: row.get("StateReason", {}).get("Message", "") for id, row in rows.items()}
        return {id: str(text) for id, text in told.items() if text}

    def kept(self, ids: tuple[str, ...]) -> dict[str, str]:
        """Return why AWS would not end instances, or would start others in their place, by id."""
        doing = f"asking AWS whether {', '.join(ids)} may go"
        found = {}
        for id, row in self._by_id(doing, ids).items():
            if group := tags_of(row).get("aws:autoscaling:groupName"):
                found[id] = f"the Auto Scaling group {group} would start another one"
            elif request := row.get("SpotInstanceRequestId"):
                found[id] = f"the spot request {request} may start another one"
            elif self._call(
                doing,
                "ec2",
                "describe_instance_attribute",
                InstanceId=id,
                Attribute="disableApiTermination",
            )["DisableApiTermination"].get("Value"):
                found[id] = "it is protected from being terminated"
        return found

    def terminate(self, ids: tuple[str, ...]) -> None:
        """End instances for good; fine if they are gone. A foreign one among them ends nothing.

        One that AWS does not show may be too new to be shown: it is looked for before it counts as
        gone, since an instance that everybody has forgotten runs, and costs, for ever.
        """
        doing = f"terminating {', '.join(ids)}"
        left, shown, looks = set(ids), set[str](), list[int]()

        def missing() -> str:
            rows = self._by_id(doing, sorted(left))
            looks.append(len(rows))
            shown.update(rows)
            there = [row for row in rows.values() if row["State"]["Name"] in THERE]
            _check_ours(there)
            if not self._end(doing, [row["InstanceId"] for row in there]):
                return "AWS shows them and does not find them"
            left.difference_update(rows)
            return f"AWS does not show {', '.join(sorted(left))}" if left else ""

        try:
            self._until(missing, PATIENCE, 1, doing)
        except Late:
            if not looks or left & shown:
                raise

    def _end(self, doing: str, ids: list[str]) -> bool:
        try:
            if ids:
                self._call(doing, "ec2", "terminate_instances", InstanceIds=ids)
        except Answered as error:
            if error.code != "InvalidInstanceID.NotFound":
                raise
            return False  # not every machine of EC2 knows them yet; then none was ended
        return True

    def _described(self, doing: str, by: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
        """Return instances, as EC2 describes them, by filters; every page of them."""
        answer = self._all(
            doing,
            "ec2",
            "describe_instances",
            Filters=[{"Name": name, "Values": list(values)} for name, values in by.items()],
            PaginationConfig={"PageSize": PAGE},
        )
        return [row for r in answer.get("Reservations", ()) for row in r["Instances"]]

    def _by_id(self, doing: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return instances by id; what EC2 does not know, or does not know yet, is left out."""
        found: dict[str, dict[str, Any]] = {}
        for at in range(0, len(ids), VALUES):
            try:
                rows = self._described(doing, {"instance-id": ids[at : at + VALUES]})
            except Answered as error:
                if error.code != "InvalidInstanceID.NotFound":
                    raise
                continue
            found |= {row["InstanceId"]: row for row in rows}
        return found


def _check_ours(rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        if not carries(row, OURS):
            name = tags_of(row).get("Name") or row["InstanceId"]
            raise Refused(
                f"terminating {name}: it has not all of the tags {', '.join(OURS)}",
                "Packlead ends its own instances only; look at what this one is",
            )
