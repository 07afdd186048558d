"""What an operation passes, by name: calls of AWS and of Slack, recorded steps, tasks on hosts."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.adapters.ansible.place import Place
from tests.e2e.people import Asked
from tests.e2e.world import World, processes, read
from tests.lab.invariants import LOOKS

BOT, PLAYBOOK = "the bot", "the playbook"
# What the engine has recorded of everything that was asked after an operation.
STEPS = """select s.function_name, s.started_at_epoch_ms, s.completed_at_epoch_ms
from operation_outputs s join operations o on o.id = s.workflow_uuid
where o.number > ? order by s.completed_at_epoch_ms, s.function_id"""


@dataclass(frozen=True)
class Call:
    """The nth call of an action since a command was said, and whose."""

    action: str
    nth: int
    by: str

    @property
    def looks(self) -> bool:
        return self.action.startswith(LOOKS)

    def __str__(self) -> str:
        return f"{self.action} {self.nth} of {self.by}"


@dataclass(frozen=True)
class Post:
    """The nth call of Slack, of a method, since a command was said."""

    method: str
    nth: int

    def __str__(self) -> str:
        return f"{self.method} {self.nth}"


@dataclass(frozen=True)
class Step:
    """The nth step that the engine recorded, and the seconds from it to the next one."""

    name: str
    nth: int
    gap: float = 0.0


@dataclass(frozen=True)
class Task:
    """A task of a playbook that begins or ends on a host."""

    verb: str  # begins, ends
    task: str
    host: str
    nth: int  # of the same, in one operation

    def __str__(self) -> str:
        again = f" for the {self.nth}. time" if self.nth > 1 else ""
        return f"{self.task!r} {self.verb} on {self.host}{again}"


def calls(world: World, asked: Asked, since: int) -> list[Call]:
    """Return every call of AWS since an entry of its log."""
    begin, end = playing(world, asked)
    seen, found = Counter[str](), []
    for call in list(world.lab.aws.log[since:]):
        seen[call.action] += 1
        by = PLAYBOOK if begin <= call.at <= end else BOT
        found.append(Call(call.action, seen[call.action], by))
    return found


def posts(world: World, since: int) -> list[Post]:
    """Return what was said since an entry of Slack's log.

    Of the changes of cards, of which there are more or fewer each time, the first and the last.
    """
    methods = [call.method for call in world.lab.slack.calls[since:]]
    said, changed = (methods.count(f"chat.{verb}") for verb in ("postMessage", "update"))
    every = [Post("chat.postMessage", nth) for nth in range(1, said + 1)]
    return every + [Post("chat.update", nth) for nth in sorted({1, changed}) if changed]


def recorded(world: World, after: int) -> list[Step]:
    """Return what the engine has recorded of all that was asked after an operation."""
    rows = steps(world, after)
    begins = [*(row[1] for row in rows[1:]), None]
    return [
        Step(name, nth, max(0.0, ((begin or done) - done) / 1000))
        for nth, ((name, _, done), begin) in enumerate(zip(rows, begins, strict=True), 1)
    ]


def steps(world: World, after: int) -> list[tuple[str, int, int]]:
    return [(str(name), int(begun or 0), int(done or 0)) for name, begun, done in
            looked_up(world, STEPS, after)]  # fmt: skip


def tasks(world: World, after: int) -> list[Task]:
    """Return the tasks that have begun and ended on hosts, of all that was asked after that."""
    verbs = {"runner_on_start": "begins", "runner_on_ok": "ends", "runner_on_failed": "ends"}
    seen, found = Counter[tuple[str, str, str]](), []
    for run in runs_since(world, after):
        for line in told(run):
            verb = verbs.get(line.get("event", ""))
            if verb and line.get("host") and not line.get("result", {}).get("skipped"):
                key = (verb, str(line.get("task", "")), str(line["host"]))
                seen[key] += 1
                found.append(Task(*key, seen[key]))
    return found


def playing(world: World, asked: Asked) -> tuple[float, float]:
    """Return from when to when its playbooks were at work, by the clock of AWS's log."""
    offset = time.time() - time.monotonic()
    times = [line["at"] - offset for run in world.runs_of(asked.number) for line in told(run)]
    return (min(times), max(times)) if times else (0.0, 0.0)


def told(run: Path) -> list[dict[str, Any]]:
    """Return the whole lines that a playbook has told so far."""
    whole, _, _ = read(run / "events.jsonl").rpartition(b"\n")
    return [json.loads(line) for line in whole.splitlines()]


def newest(world: World) -> int:
    """Return the number of the newest operation."""
    [(number,)] = looked_up(world, "select coalesce(max(number), 0) from operations")
    return int(number)


def looked_up(world: World, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Read in the bot's database, without a lock that the bot could have to wait for."""
    file = f"file:{world.config.data}/packlead.db?mode=ro"
    with contextlib.closing(sqlite3.connect(file, uri=True, timeout=10)) as connection:
        return connection.execute(query, values).fetchall()


def runs_since(world: World, after: int) -> list[Path]:
    found = [run for run in world.runs.glob("*-*") if int(run.name.partition("-")[0]) > after]
    return sorted(found)


def started_since(world: World, after: int) -> list[int]:
    """Return the processes that are playbooks of what was asked after an operation."""
    runs = runs_since(world, after)
    names = [str(path).encode() for run in runs for path in (run, Place(run).path)]
    return [
        int(process.name)
        for process, line in processes()
        if any(name in line.encode() or name in read(process / "environ") for name in names)
    ]
