"""A whole operation in Slack beside a bare `ansible-playbook` of the same playbook."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from bot.adapters.ansible import playbooks
from bot.events import Done, Planned, StepEnded, StepStarted
from tests.bench import mitogen
from tests.bench.asked import Asker, Deploy, new_commit
from tests.bench.bare import Bare
from tests.bench.bot import Bot
from tests.bench.table import Figure, spread, within
from tests.lab.lab import Lab

LIMIT = 1.1
WITH_MITOGEN = {"ansible": {"strategy": "mitogen_linear"}}


def measure(runs: int) -> Iterator[Figure]:
    """Compare both, first as Packlead comes, then both by Mitogen."""
    with Lab() as lab:
        plain = Series(lab, runs)
        yield from plain.figures("e.")
    place = mitogen.fetched()
    if place is None:
        yield Figure("e. with Mitogen", "it could not be fetched")
        return
    paths = os.pathsep.join(p for p in (str(place), os.environ.get("PYTHONPATH", "")) if p)
    with mock.patch.dict("os.environ", PYTHONPATH=paths), Lab(config=WITH_MITOGEN) as lab:
        try:
            quick = Series(lab, runs, "mitogen_linear")
        except RuntimeError as error:
            print(error)
            yield Figure(f"e. with Mitogen {mitogen.VERSION}", "does not work, see above")
            return
        yield from quick.figures(f"e. Mitogen {mitogen.VERSION}:")
    for name, with_it, without in (
        ("operation", quick.whole, plain.whole),
        ("bare playbook", quick.bare, plain.bare),
    ):
        ratio = statistics.median(with_it) / statistics.median(without)
        yield Figure(f"e. Mitogen {mitogen.VERSION}: {name} ÷ without it", f"{ratio:.2f}")


class Series:
    """Operations and bare runs in turns, each with a commit of its own."""

    def __init__(self, lab: Lab, runs: int, strategy: str = "linear") -> None:
        self.whole, self.bare = list[float](), list[float]()
        self.parts: dict[str, list[float]] = {}
        with Bot(lab) as bot:
            asker, bare = Asker(lab, bot), Bare(lab, strategy=strategy)
            for number in range(runs + 1):
                new_commit(lab, 2 * number)
                ended = asker.deploy("master")
                asker.wait_idle()
                if ended.state != "done":
                    raise RuntimeError(f"the deploy {ended.state}:\n{ended.thread}")
                seconds = self._bare(lab, bare, ended, new_commit(lab, 2 * number + 1))
                told = "to warm up: " if not number else ""
                print(f"{told}operation {ended.seconds:.2f} s, bare {seconds:.2f} s", flush=True)
                if number:
                    self.whole.append(ended.seconds)
                    self.bare.append(seconds)
                    for name, value in parts(ended, bot.data).items():
                        self.parts.setdefault(name, []).append(value)
            asker.close()

    def figures(self, title: str) -> Iterator[Figure]:
        yield Figure(f"{title} operation, command to final card", spread(self.whole))
        yield Figure(f"{title} bare ansible-playbook", spread(self.bare))
        ratio = statistics.median(self.whole) / statistics.median(self.bare)
        yield within(f"{title} operation ÷ bare", [ratio], LIMIT, 2)
        for name, values in self.parts.items():
            yield Figure(f"{title}   {name}", spread(values))

    def _bare(self, lab: Lab, bare: Bare, last: Deploy, commit: str) -> float:
        """Run the playbook as the operation before has run it, with another commit."""
        done = next(e.event.text for e in last.entries if isinstance(e.event, Done))
        release = int(done.split("release ")[1].split(",")[0])
        variables = {
            "commit": commit,
            "release": release,
            "packlead_operation": last.operation.id,
            "packlead_epoch": last.operation.number,
            "packlead_max_fail": 0,
        }
        return bare.run(playbooks() / "deploy.yml", variables).seconds


def parts(ended: Deploy, data: Path) -> dict[str, float]:
    """Return where the seconds went, from the log of the operation and that of its playbook."""
    at = {type(entry.event): entry.at for entry in ended.entries}  # the last one of each kind
    first = next(entry.at for entry in ended.entries if isinstance(entry.event, StepStarted))
    folder = data / "runs" / f"{ended.operation.number}-"
    [run] = [p for p in folder.parent.glob(f"{folder.name}*") if (p / "events.jsonl").exists()]
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    times = [line["at"] for line in lines if "at" in line]
    operation = ended.operation
    assert operation.started and operation.finished
    begun = (run / "begun").stat().st_mtime
    over = (run / "code").stat().st_mtime
    return {
        "said → recorded": operation.created - ended.asked,
        "recorded → begun": operation.started - operation.created,
        "begun → planned": at[Planned] - operation.started,
        "planned → playbook's process": begun - at[Planned],
        "its process → its first event": times[0] - begun,
        "first event → first step": first - times[0],
        "first step → last event": times[-1] - first,
        "last event → its process ended": over - times[-1],
        "process ended → last step told": at[StepEnded] - over,
        "last step → operation over": operation.finished - at[StepEnded],
        "over → final card": ended.shown - operation.finished,
    }
