"""What Ansible tells, told again in our own words: a run's lines become events and an outcome.

It decides from the lines alone, so a run that is read a second time says exactly the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bot.adapters.aws.records import Instance
from bot.adapters.records import Failure, Outcome
from bot.config import Config
from bot.detached import Line
from bot.events import Event, HostReport, Output, StepEnded, StepProgress, StepStarted

UNTOLD = {"resolve", "go ahead", "see who is out", "stayed behind"}  # no step of a card
STOP = {"stop the roll", "say who stayed behind"}  # tasks that fail because another one has
TAIL = 15  # lines of a failure


class Story:
    """One run, line by line."""

    def __init__(
        self, playbook: str, config: Config, environment: str, hosts: Sequence[Instance]
    ) -> None:
        known = config.environments.get(environment)
        balanced = set(known.balancers) if known else set()
        behind = sum(host.type in balanced for host in hosts)
        self._playbook = playbook
        self._totals = {  # of the steps in which hosts report, one after the other
            "switch web": behind,
            "switch the rest": len(hosts) - behind,
            "mend": len(hosts),
        }
        self._step, self._play, self._task, self._begun = "", "", "", False
        self._told: set[str] = set()  # hosts that have said something in this step
        self._broken: set[str] = set()  # steps in which something failed
        self._failures: list[Failure] = []
        self._loose: list[str] = []  # what belongs to no host
        self._done: tuple[str, ...] = ()
        self._stood, self._first, self._last = "", 0.0, 0.0

    def read(self, line: Line) -> Iterator[Event]:
        """Yield what one line means to people."""
        if "at" in line:
            self._first, self._last = self._first or line["at"], line["at"]
        kind = line.get("event", "")
        self._task = line.get("task", self._task)
        match kind:
            case "playbook_on_play_start":
                self._play = line.get("play", "")
            case "playbook_on_no_hosts_matched":
                yield from self._turn_to("")
                if self._play not in UNTOLD and self._play != "prepare":  # all have it already
                    yield StepEnded(self._play, "skipped", "no host for it")
            case "playbook_on_task_start":
                yield from self._task_started()
            case "runner_on_start":
                if self._step == "switch web" and not self._skipped():
                    yield self._progress(f"{line.get('host', '')}: {self._task}")
            case "runner_on_ok":
                yield from self._worked(line)
            case "runner_on_failed" | "runner_on_unreachable":
                yield from self._failed(line, unreachable=kind == "runner_on_unreachable")
            case "playbook_on_stats":
                failed = set(line.get("failed", ()))
                self._done = tuple(h for h in line.get("ok", ()) if h not in failed)
            case _ if line.get("text"):
                self._loose.append(str(line["text"]))

    def end(self, code: int) -> Iterator[Event]:
        """Yield what is left to say when the run has ended."""
        if code and self._step:
            self._broken.add(self._step)
        yield from self._turn_to("")

    def outcome(self, code: int, errors: str) -> Outcome:
        failures = list(self._failures)
        if code and not failures:
            said = "\n".join([*self._loose, errors]).strip()
            failures.append(Failure("", self._playbook, _tail(said) or f"it ended with {code}"))
        seconds = round(self._last - self._first, 3)
        stood = self._stood if code else ""
        return Outcome(code == 0, tuple(failures), self._done, seconds, stood)

    def _turn_to(self, step: str) -> Iterator[Event]:
        """End the step in which we were and begin another. Ansible starts a play anew per batch."""
        if step == self._step:
            return
        if self._step:
            yield StepEnded(self._step, "failed" if self._step in self._broken else "done")
        self._step = step
        self._told = set()
        if step:
            yield StepStarted(step)

    def _task_started(self) -> Iterator[Event]:
        if self._play in UNTOLD:
            return
        yield from self._turn_to(self._play)
        if not self._skipped() and self._step != "switch web":  # where hosts take turns
            yield self._progress(self._task)

    def _skipped(self) -> bool:
        """Tell whether the task is one that Ansible starts only to find nothing to do in it."""
        return self._task in STOP or (self._step == "switch the rest" and "balancer" in self._task)

    def _progress(self, detail: str) -> Event:
        return StepProgress(self._step, detail, len(self._told), self._totals.get(self._step, 0))

    def _worked(self, line: Line) -> Iterator[Event]:
        host, result = line.get("host", ""), line.get("result", {})
        text = str(result.get("output") or result.get("stdout") or result.get("msg") or "")
        if not result.get("skipped"):
            yield Output(host, self._task, text)
        if said := result.get("packlead_say"):
            self._told.add(host)
            well = bool(result.get("packlead_ok", True))
            yield HostReport(host, str(said), self._step, well)

    def _failed(self, line: Line, unreachable: bool) -> Iterator[Event]:
        host, result = line.get("host", ""), line.get("result", {})
        if self._task in STOP:
            self._broken.add(self._step)
            if self._play == "stayed behind":  # the roll itself went on
                self._stood = self._play
            return
        sentence, output = _reason(result)
        if unreachable:
            sentence = f"{host} cannot be reached: {sentence}"
        text = "\n".join(part for part in (_tail(output), sentence) if part)
        self._broken.add(self._step)
        self._stood = self._stood or self._play
        self._failures.append(Failure(host, self._task, text))
        yield Output(host, self._task, text, ok=False)


def _reason(result: dict[str, Any]) -> tuple[str, str]:
    """Return the sentence and the output of a task that failed."""
    parts = [
        result.get(k) for k in ("output", "stdout", "stderr", "module_stdout", "module_stderr")
    ]
    output = "\n".join(str(part).strip() for part in parts if part)
    return str(result.get("msg") or "no reason was given").strip(), output


def _tail(text: str) -> str:
    return "\n".join(text.strip("\n").rstrip().splitlines()[-TAIL:])
