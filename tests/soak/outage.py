"""Slack is away altogether while deploys run: they do not notice, and all of it is told afterwards.

Three deploys are asked for in Slack. Then an answer is lost, Slack cuts every connection and
refuses new ones, later it answers 503; meanwhile two more are asked for in terminals. After its
return everything must be there: in order, once, and soon, within what Slack allows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from bot import words
from bot.events import END, Event, HostReport, Note, Planned
from bot.fronts.poster import KIND
from bot.store import Operation
from tests.bench.table import Figure, none
from tests.e2e.people import SAID_AGAIN, Asked, Person
from tests.e2e.process import Packlead
from tests.e2e.world import BOT, CHANNELS, World
from tests.lab.slack.records import Call, Message
from tests.soak.houses import small_house
from tests.soak.walk import say
from tests.waiting import until

SOON = 120.0  # seconds after its return in which all must be told
PATIENCE = 300.0  # seconds for which it is waited for
FLEET = {"prod": {"web": 2}, "puppystream": {"web": 2}}
LINES = (
    ("/deploy prod", "C0PROD"),
    ("/deploy prod", "C0PROD"),
    ("/deploy puppystream", "C0PUPPY"),
)
TYPED = ("deploy prod", "deploy puppystream")  # in a terminal, while Slack is away
TOLD = (Planned, HostReport, Note, *END)
ENOUGH = 70  # characters by which a sentence is known


@dataclass
class Outage:
    """One outage, and what came of it."""

    world: World
    person: Person
    branches: Iterator[str]
    numbers: list[int] = field(default_factory=list)
    away: float = 0.0  # seconds
    back: float = 0.0  # when Slack came back, Unix seconds
    late: dict[int, float] = field(default_factory=dict)  # seconds after that, by operation
    heard: float = 0.0  # seconds after that until a command was heard again
    ghosts: int = 0
    wrong: list[str] = field(default_factory=list)

    def passes(self, seconds: float) -> None:
        """Ask, be away for so long and until all have ended, come back, and wait for all of it."""
        slack, world = self.world.lab.slack, self.world
        asked = [self.person.says(f"{line} {next(self.branches)}", at) for line, at in LINES]
        self.numbers = [one.number for one in asked]
        asked[0].is_said_so_far()
        lost = slack.fault("chat.postMessage", "lost")
        until(lambda: lost.count, lambda: f"an answer is lost; {asked[0].events[-3:]}")
        began = time.monotonic()
        slack.leave("refused")
        say(f"Slack is away, #{self.numbers[0]} is {asked[0].operation.state}")
        before = len(world.store.history(limit=1000))
        typed = [Packlead(world.lab.env, "run", f"{line} {next(self.branches)}") for line in TYPED]
        ends = began + seconds
        self._hold(began + seconds / 2)
        slack.leave("503")
        self.ghosts = self._unheard()
        for one in typed:
            one.ends(0, PATIENCE)
        until(lambda: not world.store.live(), lambda: f"{world.store.live()} end", PATIENCE)
        rows = world.store.history(limit=1000)
        self.numbers += sorted(row.number for row in rows[: len(rows) - before])
        if len(self.numbers) != len(LINES) + len(TYPED):
            self.wrong.append(f"of {len(LINES) + len(TYPED)} requests came {self.numbers}")
        say(f"all have ended after {time.monotonic() - began:.0f} s; Slack stays away")
        self._hold(ends)
        self.away = time.monotonic() - began
        slack.fault("chat.postMessage", "lost")
        self.back = time.time()
        slack.come_back()
        self._wait_told()
        told = ", ".join(f"#{n} {late:.1f} s" for n, late in self.late.items())
        say(f"told after its return: {told}; a command was heard after {self.heard:.1f} s")
        self.wrong += self._untold()

    def _hold(self, end: float) -> None:
        time.sleep(max(0.0, end - time.monotonic()))

    def _unheard(self) -> int:
        """Say something while Slack cannot deliver it; nothing may come of it, now or later."""
        slack, store = self.world.lab.slack, self.world.store
        before = len(store.history(limit=1000))
        given = slack.command(self.person.id, "/lock", "prod nobody hears this", "C0PROD")
        return int(given.acked) + len(store.history(limit=1000)) - before

    def operations(self) -> list[Operation]:
        """The deploys and what followed them up."""
        found = [self.world.store.get(f"#{number}") for number in self.numbers]
        deploys = [one for one in found if one]
        return deploys + [c for one in deploys for c in self.world.store.children(one.id)]

    def _wait_told(self) -> None:
        """Wait until Slack shows all; note when, and when a command is heard again."""
        slack, end = self.world.lab.slack, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            since = time.time() - self.back
            for one in self.operations():
                if self.world.store.note(KIND, one.id).get("finished"):
                    self.late.setdefault(one.number, since)
            if not self.heard and slack.connections:
                given = slack.command(self.person.id, "/locks", "", "C0PROD")
                if given.acked and "is locked" in str((given.answer or {}).get("text", "")):
                    self.heard = time.time() - self.back
            if self.heard and len(self.late) == len(self.operations()):
                return
            time.sleep(0.2)

    # what must be so afterwards

    def _untold(self) -> Iterator[str]:
        for operation in self.operations():
            if operation.number not in self.late:
                yield f"#{operation.number} is not told after {PATIENCE:g} s"
            elif self.late[operation.number] > SOON:
                yield f"#{operation.number} is told after {self.late[operation.number]:.0f} s"
        for number in self.numbers:
            yield from self._thread(Asked(self.person, "", 0, f"accepted as #{number}"))
        if self.ghosts:
            yield f"{self.ghosts} came of what nobody heard"

    def _thread(self, asked: Asked) -> Iterator[str]:
        """The card shows the end, and the thread each sentence of the log, in its order, once."""
        mine, cards = f"the thread of #{asked.number}", asked.cards()
        if len([c for c in cards if SAID_AGAIN not in c.wording]) > 1 or not cards:
            yield f"#{asked.number} has {len(cards)} cards"
            return
        last = cards[-1]  # one whose answer was lost stays as it was
        card, replies = last.wording, asked.below(last)
        end = words.say(asked.events[-1])
        if "done" not in card or end[:ENOUGH] not in card:
            yield f"the card of #{asked.number} does not say {end!r}: {card!r}"
        family = [asked.operation, *self.world.store.children(asked.operation.id)]
        once = "\n".join(m.wording for m in replies if SAID_AGAIN not in m.wording)
        every = "\n".join(m.wording for m in replies)
        for operation in family:
            at = 0
            for sentence in sentences([e.event for e in self.world.store.entries(operation.id)]):
                if (found := every.find(sentence, at)) < 0:
                    what = "out of order" if sentence in every else "missing"
                    yield f"{mine}: {what}: {sentence!r}"
                else:
                    at = found
                if sentence not in end and once.count(sentence) > 1:
                    yield f"{mine}: said twice without a mark: {sentence!r}"

    @property
    def lost(self) -> int:
        return sum(c.fault == "lost" for c in self.world.lab.slack.calls if posts(c))

    @property
    def again(self) -> int:
        """How many messages say of themselves that they are a repeat."""
        return sum(SAID_AGAIN in m.wording for m in shown(self.world))

    @property
    def busy(self) -> int:
        """How often Slack said, after its return, that it is asked too much."""
        return sum(c.status == 429 for c in self.after())

    def after(self) -> list[Call]:
        return [call for call in self.world.lab.slack.calls if call.at >= self.back]

    def pace(self) -> str:
        """How much was sent at its return: posts of a channel and edits, in a minute at most."""
        calls = [call for call in self.after() if call.ok]
        posted = [str(c.args.get("channel")) for c in calls if posts(c)]
        edits = [c.at for c in calls if c.method == "chat.update"]
        most = max((sum(at <= e < at + 60 for e in edits) for at in edits), default=0)
        told = ", ".join(f"{n} in {channel}" for channel, n in Counter(posted).most_common())
        return f"{told}; {most} edits in a minute at most"


def sentences(events: list[Event]) -> list[str]:
    """Return the beginnings of all sentences that belong into a thread, each of them once."""
    said = (words.say(event).splitlines() for event in events if isinstance(event, TOLD))
    return list(dict.fromkeys(line[0][:ENOUGH] for line in said if line))


def posts(call: Call) -> bool:
    return call.method == "chat.postMessage"


def shown(world: World) -> list[Message]:
    roots = [root for channel in CHANNELS for root in world.lab.slack.messages(channel)]
    return [m for root in roots for m in (root, *root.replies) if m.user == BOT]


def branches(world: World) -> Iterator[str]:
    """Push commits, each on top of the one before, and yield a branch for each."""
    number = 0
    while True:
        number += 1
        name = f"soak/outage-{number}"
        new = world.lab.git.commit("master", {"soak.txt": f"{number}\n"}, f"Say {number}")
        world.lab.git.branch(name, new)
        yield name


def measure(minutes: float) -> Iterator[Figure]:
    """Be away for so many minutes."""
    with small_house(FLEET) as world:
        outage = Outage(world, Person("U0ADA", world), branches(world))
        outage.passes(minutes * 60)
        states = [one.state for one in outage.operations()]
        refused, log = world.lab.slack.refused, world.bot.log.read_text(errors="replace")
        lost, again, busy = outage.lost, outage.again, outage.busy
        pace, of = outage.pace(), f"{len(states)} operations"
    tracebacks = log.count("Traceback")
    if tracebacks:
        print(log[max(0, log.index("Traceback") - 500) :][:6000])
    print(*outage.wrong, *refused, sep="\n")
    yield Figure("e. Slack was away", f"{outage.away / 60:.1f} min", f"≥ {minutes:g} min")
    bad = sum(state != "done" for state in states)
    yield none("e. operations that did not end well meanwhile", bad, of)
    yield none("e. missing, late, out of order or twice unmarked", len(outage.wrong), of)
    latest = max(outage.late.values(), default=PATIENCE)
    yield Figure(
        "e. the last message was told", f"{latest:.1f} s after its return", f"≤ {SOON:g} s",
        broken=latest > SOON,
    )  # fmt: skip
    yield Figure("e. a command was heard again", f"{outage.heard:.1f} s after its return")
    yield Figure("e. marked repeats", f"{again}", f"≤ {lost} lost", broken=again > lost)
    yield none("e. answers 429 after its return", busy, pace)
    yield none("e. messages that Slack refused", len(refused), of)
    yield none("e. tracebacks in the bot's log", tracebacks, of)
