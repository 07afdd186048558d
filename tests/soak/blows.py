"""Where a command is struck, and how: at a call of AWS or of Slack, after a recorded step, at a
task on a host, or at a moment.

    AtCall(Call("RunInstances", 1, BOT), AFTER)    executed; then the bot is killed with -9
    AtTask(task, loses=True)                       the bot, and all it has started, as in a reboot
    blows(world, asked, since, heard)              all those that an operation in peace has passed
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.e2e.people import Asked
from tests.e2e.world import World
from tests.soak.sites import (
    BOT,
    PLAYBOOK,
    Call,
    Post,
    Step,
    Task,
    calls,
    newest,
    posts,
    recorded,
    started_since,
    steps,
    tasks,
)

LOST, BEFORE, AFTER = "answer lost at", "killed before", "killed after"
LATE, REBOOT = "killed long before", "killed with all its processes after"
KINDS = (LOST, BEFORE, AFTER, LATE, REBOOT)
FAULTS = {LOST: "lost", BEFORE: "before", AFTER: "after", LATE: "slow", REBOOT: "after"}
ONLY = {LATE: BOT, REBOOT: PLAYBOOK}  # of whose calls; with others' it is the same as AFTER
LATER = 4.0  # seconds after which AWS does what a bot has asked that is long dead
POLL = 0.005  # seconds between two looks for a point
GAP = 0.1  # seconds between two recorded steps in which something more may be struck


@dataclass
class Blow:
    """One blow at a world.

    `hit`: it fell; `loses`: it may fell playbooks too; `told`: it may fall until all is told.
    """

    loses = told = False

    def __post_init__(self) -> None:
        self.said, self.hit, self.over = threading.Event(), False, False

    def arm(self, world: World) -> None:
        """Begin to wait for the point."""
        self.world, self.newest = world, newest(world)

    def disarm(self) -> None:
        """Stop to wait for it."""

    def fall(self) -> None:
        """Kill the bot, and where that is meant all that it has started."""
        self.hit = True
        self.world.bot.kill()
        if self.loses:
            for _ in range(3):  # what was just about to start something is not missed
                for process in started_since(self.world, self.newest):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
        self.over = True


@dataclass
class AtCall(Blow):
    """At a call of AWS: before it or after it, or only its answer is lost, or it is done late."""

    site: Call
    kind: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self.loses = self.kind == REBOOT

    def __str__(self) -> str:
        return f"{self.kind} {self.site}"

    def arm(self, world: World) -> None:
        super().arm(world)
        self._fault = world.lab.aws.fault(
            self.site.action,
            FAULTS[self.kind],
            skip=self.site.nth - 1,
            seconds=LATER,
            call=self.fall,
        )
        threading.Thread(target=self._watch, daemon=True).start()

    def disarm(self) -> None:
        self.world.lab.aws.faults.clear()
        self._fault.times = 0

    def _watch(self) -> None:
        """The kinds that call nobody: an answer that is lost, and what is done late."""
        while self.kind in (LOST, LATE) and not self._fault.hits and self._fault.times:
            time.sleep(POLL)
        if self.kind == LATE and self._fault.hits:
            self.fall()
        elif self.kind == LOST and self._fault.hits:
            self.hit = self.over = True


@dataclass
class AtPost(Blow):
    """At a call of Slack, of this or of what was said just before: the bot is killed before it is
    done, or after, and has no answer."""

    site: Post
    kind: str  # BEFORE, AFTER
    told = True

    def __str__(self) -> str:
        return f"{self.kind} {self.site}"

    def arm(self, world: World) -> None:
        super().arm(world)
        count = itertools.count(1)
        self._fault = world.lab.slack.fault(
            self.site.method,
            FAULTS[self.kind],
            call=self.fall,
            match=lambda _: next(count) == self.site.nth,
        )

    def disarm(self) -> None:
        self._fault.clear()

    def fall(self) -> None:
        self.said.wait(10)  # Slack has heard that it was accepted
        super().fall()


@dataclass
class Seen(Blow):
    """As soon as something is seen, and so many seconds later."""

    delay = 0.0

    def arm(self, world: World) -> None:
        super().arm(world)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def disarm(self) -> None:
        self._end.set()
        self._thread.join()

    def seen(self) -> bool:
        raise NotImplementedError

    def _watch(self) -> None:
        while not self._end.wait(POLL):
            if self.seen():
                self.said.wait(10)  # Slack has heard that it was accepted
                if not self._end.wait(self.delay):
                    self.fall()
                return


@dataclass
class AfterStep(Seen):
    """The bot is killed right after a recorded step, or `late` before the next one begins."""

    site: Step
    late: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.delay = self.site.gap * 0.8 if self.late else 0.0

    def __str__(self) -> str:
        later = f"{self.delay:.1f} s " if self.late else ""
        return f"killed {later}after {self.site.name!r}, the {self.site.nth}. step"

    def seen(self) -> bool:
        return len(steps(self.world, self.newest)) >= self.site.nth

    def fall(self) -> None:
        super().fall()
        done = steps(self.world, self.newest)  # one or two more may have been done meanwhile
        self.site = Step(done[-1][0], len(done), self.site.gap)


@dataclass
class AtTask(Seen):
    """The bot is killed when a task begins or ends on a host; or all of its processes are."""

    site: Task
    loses: bool = False

    def __str__(self) -> str:
        return f"killed{' with all its processes' * self.loses} when {self.site}"

    def seen(self) -> bool:
        return self.site in tasks(self.world, self.newest)


@dataclass
class AtMoment(Blow):
    """The bot is killed so many seconds after the command was accepted."""

    seconds: float

    def __str__(self) -> str:
        return f"killed after {self.seconds:.2f} s"

    def arm(self, world: World) -> None:
        super().arm(world)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def disarm(self) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        self.said.wait(30)
        if not self._end.wait(self.seconds):
            self.fall()


# -- what an operation passes -------------------------------------------------------------------


def blows(world: World, asked: Asked, since: int, heard: int) -> Iterator[Blow]:
    """Yield every blow at every named point that an operation in peace has passed.

    `since` and `heard` are the entries of AWS's log and of Slack's with which it began.
    """
    for call in calls(world, asked, since):
        for kind in KINDS:
            if not call.looks and (kind not in ONLY or call.by == ONLY[kind]):
                yield AtCall(call, kind)
    looks = [call for call in calls(world, asked, since) if call.looks]
    for action in dict.fromkeys(call.action for call in looks):
        mine = [call for call in looks if call.action == action]
        for call in dict.fromkeys((mine[0], mine[-1])):
            yield AtCall(call, BEFORE)
    for post in posts(world, heard):
        yield AtPost(post, BEFORE)
        yield AtPost(post, AFTER)
    for step in recorded(world, asked.number - 1):
        yield AfterStep(step)
        if step.gap > GAP:
            yield AfterStep(step, late=True)
    for task in tasks(world, asked.number - 1):
        for loses in (False, True):
            yield AtTask(task, loses)
