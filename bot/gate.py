"""The CI gate: whether what CI says of a commit is enough for an environment.

`judge` decides; `gate` asks, waits where the policy is to wait, and says what it waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.adapters.records import Check, Commit
from bot.config import Environment
from bot.errors import BotError, Refused
from bot.events import Note, Progress, StepEnded, StepProgress, StepStarted
from bot.operations import PUSHES
from bot.words import count, duration, listed

if TYPE_CHECKING:
    from bot.job import Job

STEP = "ci"
PAUSE = 5.0  # seconds between two questions


@dataclass(frozen=True)
class Verdict:
    """What CI's checks come to: state is ok, pending, failed or unknown."""

    state: str
    text: str
    lines: tuple[str, ...] = ()


def judge(checks: Sequence[Check], wanted: Sequence[str]) -> Verdict:
    """Judge a commit's checks: those that are wanted, or all where none is named."""
    known = {check.name for check in checks}  # a name may stand for several, each of which counts
    asked = [check for check in checks if not wanted or check.name in wanted]
    missing = [name for name in wanted if name not in known]
    failed = [check for check in asked if check.state == "failed"]
    pending = [check.name for check in asked if check.state == "pending"]
    if failed:
        links = tuple(f"{check.name}: {check.url or 'without a link'}" for check in failed)
        return Verdict("failed", f"{listed([c.name for c in failed])} failed", links)
    if missing:
        return Verdict("unknown", f"{listed(missing)} did not report")
    if not asked:
        return Verdict("unknown", "no check reported")
    if pending:
        return Verdict("pending", f"{listed(pending)} still {'run' if pending[1:] else 'runs'}")
    return Verdict("ok", f"{count(len(asked), 'check')} passed")


def gate(job: Job, environment: Environment, commit: Commit, force: str | None) -> Progress[None]:
    """Hold a commit to an environment's CI policy; raises Refused with what failed, and where."""
    if environment.ci == "none" or force is not None:
        return
    give_up = job.now() + environment.ci_seconds
    told = ""
    while True:
        verdict = ask(job, environment, commit)
        if verdict.state == "ok":
            if told:
                yield StepEnded(STEP, "done", verdict.text)
            else:
                yield Note(f"CI: {verdict.text}")
            return
        late = environment.ci != "wait" or verdict.state == "failed"
        if not late and job.now() > give_up:
            late = True
            verdict = Verdict(
                verdict.state, f"{verdict.text} after {duration(environment.ci_seconds)}"
            )
        if late:
            if told:
                yield StepEnded(STEP, "failed", verdict.text)
            said = f"CI does not say yes to {commit.short}: {verdict.text}"
            raise Refused("\n".join([said, *verdict.lines]), hint(environment))
        if not told:
            yield StepStarted(STEP, verdict.text)
        elif told != verdict.text:
            yield StepProgress(STEP, verdict.text)
        told = verdict.text
        superseded(job, environment)
        job.pause(PAUSE)


def ask(job: Job, environment: Environment, commit: Commit) -> Verdict:
    """Return the verdict; what cannot be asked is no yes."""
    try:
        return judge(job.github.checks(commit.id), environment.ci_checks)
    except BotError as error:
        if environment.ci == "wait":
            return Verdict("unknown", error.text)
        raise Refused(f"asking CI about {commit.short}: {error.text}", hint(environment)) from None


def hint(environment: Environment) -> str:
    """Return what can be done where CI says no."""
    over = ', or: --force "REASON"' if environment.force else ""
    return f"mend it and say it again{over}"


def superseded(job: Job, environment: Environment) -> None:
    """Raise Refused where a newer push waits behind one that only waits for CI itself."""
    mine = job.operation
    if mine.front not in PUSHES:
        return
    newer = [
        o
        for o in job.history.live(environment.name)
        if o.front in PUSHES and o.number > mine.number and o.line == mine.line
    ]
    if newer:
        raise Refused(f"a newer push waits: #{newer[-1].number} takes its place")
