"""Run one command of the application on a manager instance."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from fnmatch import fnmatchcase

from bot.adapters.aws.records import Instance
from bot.adapters.records import Ran
from bot.command import Duration, Environment, HostType, Reason, Words, command
from bot.errors import Cancelled, Refused
from bot.events import (
    Done,
    Event,
    Note,
    Planned,
    Progress,
    Shown,
    Step,
    StepEnded,
    StepStarted,
    Stopped,
    WasCancelled,
)
from bot.far import choose
from bot.job import Job
from bot.words import duration

PROGRAM = "manage.py"
LONGEST = 86400.0
ANEW = "it is not run again; look at what it has done, then say it anew"


@command(permission="run", long=True)
def run(
    job: Job,
    environment: Environment,
    command: Words,
    *,
    on: HostType | None = None,
    for_: Duration | None = None,
    force: Reason | None = None,
) -> Progress[None]:
    """Run one command of the application, as manage.py knows it, on a manager instance.

    What stands behind -- goes to the program word by word, as it is quoted: no shell reads it.
    --on runs it on the first instance of another type, --for limits its time (an hour unless the
    config says otherwise). It is never run twice: one that was interrupted stays so.
    """
    argv = allowed(command, job.config.app.run)
    seconds = min(for_ or job.config.app.run_seconds, LONGEST)
    fleet = job.aws.fleet(environment.name)
    host, said = choose(fleet, on or job.config.app.manager, fallback=on is None)
    line = shlex.join(argv)
    about = [f"{line} on {host.name} ({host.id}), for {duration(seconds)} at most"]
    text = f"run {line} on {host.name}: sure?"
    if question := job.settle(environment, about, text, force=force):
        yield question
        return
    if force:
        yield Note(f"{job.speaker.name} passes over the policy: {force}")
    title = f"run {line} on {host.name}"
    lines = (*([said] if said else []), f"it may take {duration(seconds)}")
    yield Planned(title, lines, (Step("run", line),), (host.name,))
    yield StepStarted("run")
    began = job.now()
    try:
        ran = job.far.run(host, argv, seconds)
    except Cancelled as stop:
        yield StepEnded("run", "cancelled")
        yield WasCancelled(stop.by, f"while {line} ran on {host.name}: it was ended there")
        return
    well = ran.how == "ended" and ran.code == 0
    yield StepEnded("run", "done" if well else "failed")
    if ran.tail.strip() or well:
        yield Shown(ran.tail, ran.lines, ran.lost)
    yield end(ran, line, host, seconds, duration(job.now() - began))


def allowed(words: Sequence[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the program and its arguments. Raises Refused, with what the config allows."""
    for argv in (tuple(words), (PROGRAM, *words)):
        yes = [p for p in patterns if not p.startswith("!") and fits(argv, p.split())]
        no = [p for p in patterns if p.startswith("!") and fits(argv, p[1:].split())]
        if no:
            raise Refused(f"{shlex.join(argv)} may not be run", f"app.run says {no[0]}")
        if yes:
            return argv
    able = ", ".join(patterns) or "nothing"
    raise Refused(f"{shlex.join(words)} may not be run", f"app.run allows: {able}")


def fits(argv: Sequence[str], pattern: Sequence[str]) -> bool:
    """Say whether each word fits its pattern; `*` at the end stands for any number of words."""
    if not pattern:
        return False
    if pattern[-1].endswith("*") and len(argv) >= len(pattern) - (pattern[-1] == "*"):
        argv = [*argv[: len(pattern)], *[""] * (len(pattern) - len(argv))]
    return len(argv) == len(pattern) and all(map(fnmatchcase, argv, pattern))


def end(ran: Ran, line: str, host: Instance, seconds: float, took: str) -> Event:
    """Say how a command ended."""
    detail = f": {ran.detail}" if ran.detail else ""
    match ran.how:
        case "ended" if ran.code == 0:
            return Done(f"{line} ended well on {host.name}, after {took}")
        case "ended" if ran.code < 0:
            return Stopped(f"{line} on {host.name} was ended by signal {-ran.code}, after {took}")
        case "ended":
            return Stopped(f"{line} on {host.name} ended with status {ran.code}, after {took}")
        case "expired":
            return Stopped(
                f"{line} on {host.name} ran for {duration(seconds)} and was ended",
                "what it had done by then is done; --for gives it more time",
            )
        case "dropped":
            return Stopped(
                f"the connection to {host.name} broke while {line} ran, which ends with it{detail}",
                ANEW,
                "interrupted",
            )
        case "lost":
            return Stopped(f"{line} on {host.name}: {ran.detail}", ANEW, "interrupted")
        case _:
            return Stopped(f"reaching {host.name}{detail}", "nothing was run")
