"""Where the seconds of a deploy went, from its log and from that of its playbook."""

from __future__ import annotations

import json
from pathlib import Path

from bot.events import Planned, StepEnded, StepStarted
from tests.bench.asked import Deploy


def spent(ended: Deploy, data: Path) -> dict[str, float]:
    """Return the seconds from one point to the next, in their order."""
    operation = ended.operation
    assert operation.started and operation.finished
    at = {type(entry.event): entry.at for entry in ended.entries}  # the last one of each kind
    first = next(entry.at for entry in ended.entries if isinstance(entry.event, StepStarted))
    begun = [p for p in data.glob(f"runs/{operation.number}-*") if (p / "events.jsonl").exists()]
    run = begun[0]
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    times = [line["at"] for line in lines if "at" in line]
    points = {
        "": ended.asked,
        "from the command to its record": operation.created,
        "until a worker takes it": operation.started,
        "until the plan": at[Planned],
        "until the playbook's process runs": (run / "begun").stat().st_mtime,
        "until Ansible says something": times[0],
        "until its first step": first,
        "until its last word": times[-1],
        "until its process has ended": (run / "code").stat().st_mtime,
        "until the operation is over": max(operation.finished, at[StepEnded]),
        "until the final card": ended.shown,
    }
    moments = list(points.values())
    steps = zip(list(points)[1:], moments, moments[1:], strict=False)
    return {name: after - before for name, before, after in steps}
