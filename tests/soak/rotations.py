"""Keys rotated in every odd form, and the bot killed at every step: one valid value everywhere.

Values are typed in Slack's form or piped into a terminal, generated, undone, and refused by one of
the hosts half-way. In every second rotation the bot is killed with -9: at a call of AWS, before it
or after it, or some seconds after its beginning. Meanwhile somebody logs in ten times a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.bench.table import Figure, none
from tests.e2e.canaries import Probe, Watch, canaries, digest, everywhere, found, heart
from tests.e2e.people import Asked, Person
from tests.e2e.process import Packlead
from tests.e2e.world import World
from tests.lab.keys import put_first
from tests.soak.houses import small_house
from tests.soak.keys import newest_number, stored
from tests.waiting import until

KEY = "TWITTER_KEY"
WAYS = ("typed", "typed", "generated", "typed", "refused", "typed", "undone")
KILLS: tuple[tuple[str, str | float, int], ...] = (
    ("before", "DescribeParameters", 0),
    ("before", "GetParameterHistory", 0),
    ("before", "PutParameter", 0),
    ("after", "PutParameter", 0),
    ("after", "GetParameterHistory", 1),
    ("after", "GetParameter", 0),
    ("before", "DeregisterTargets", 0),
    ("after", "DeregisterTargets", 0),
    ("before", "RegisterTargets", 0),
    ("after", "DeregisterTargets", 1),
    ("after", "RegisterTargets", 1),
    *(("in", seconds, 0) for seconds in (0.1, 1.0, 2.0, 3.0, 4.5, 6.0, 8.0, 10.0, 13.0)),
)
SLACK = 3000  # characters that a form takes


def measure(times: int) -> Iterator[Figure]:
    """Rotate so often, and look after each whether all is as it must be."""
    values = [*canaries(times)]
    wrong: list[str] = []
    killed = 0
    with small_house() as world:
        put_one(world)
        with (
            Watch([heart(v) for v in values]) as watch,
            Probe(world, "prod", KEY) as probe,
        ):
            for number, value in enumerate(values):
                way = WAYS[number % len(WAYS)]
                if way == "typed" and number % 4 == 0:
                    value = (value + "0123456789" * 500)[:4000]  # with its quotes 4 kB and more
                kill = KILLS[number // 2 % len(KILLS)] if number % 2 else None
                killed += kill is not None
                began = time.monotonic()
                for fault in one(world, way, value, kill, probe):
                    wrong.append(f"{number} {way} {kill}: {fault}")
                print(
                    f"{number}: {way}, killed {kill or 'never'}, {time.monotonic() - began:.1f} s",
                    *[line for line in wrong if line.startswith(f"{number} ")], flush=True,
                )  # fmt: skip
        seen = [*found(world, values), *watch.seen]
        slack = world.lab.slack.refused
    print(*wrong, *seen[:20], *probe.wrong[:20], sep="\n")
    yield none("a. canaries seen where they may not be", len(seen), f"{len(values)} values")
    yield none("b. rotations that left something wrong", len(wrong), f"{times}, {killed} killed")
    yield none("b. logins that failed twice", len(probe.wrong), f"{probe.asked}")
    yield none("b. messages that Slack refused", len(slack), f"{len(world.lab.slack.calls)} calls")


def one(
    world: World, way: str, value: str, kill: tuple[str, str | float, int] | None, probe: Probe
) -> Iterator[str]:
    """Rotate once; say what is wrong afterwards."""
    before, count = stored(world, KEY)
    if way == "refused":
        value = f"revoked on prodweb2 {value}"
    probe.seen.clear()
    if kill and kill[0] != "in":
        world.lab.aws.fault(str(kill[1]), kill[0], skip=kill[2], call=world.bot.kill)
    asked = ask(world, way, value)
    if kill and kill[0] == "in":
        time.sleep(float(kill[1]))
        world.bot.kill()
    end = time.monotonic() + 90
    while asked.operation.live and world.bot.lives and time.monotonic() < end:
        time.sleep(0.05)
    world.lab.aws.faults.clear()
    if not world.bot.lives:
        world.bot.start()
    until(lambda: not asked.operation.live, lambda: f"{way} ends")
    until(lambda: not [*world.hosts.wrong()], lambda: "; ".join(world.hosts.wrong()))
    now, after = stored(world, KEY)
    state = asked.operation.state
    if state != ("failed" if way == "refused" else "done"):
        yield f"it is {state}: {asked.events[-1]}"
    if way == "typed" and now != value:
        yield "the store has another value"
    if way == "refused" and now != before:
        yield "the store has not the value before"
    if after != count + (2 if way == "refused" else 1):
        yield f"there are {after - count} versions more"
    try:
        everywhere(world, "prod", KEY, now)
    except AssertionError as error:
        yield f"not everywhere: {error}"
    strange = probe.seen - {digest(v) for v in (before, now, value)}
    if strange:
        yield f"a login met {len(strange)} values that were never valid"
    world.is_at_rest(asked.number)


def ask(world: World, way: str, value: str) -> Asked:
    """Say it, as a person would; where the bot is killed by that, it was accepted before."""
    ada, slack = Person("U0ADA", world), world.lab.slack
    line = {"generated": " --generate", "undone": " --undo"}.get(way, "")
    newest = newest_number(world)
    if line:
        return ada.says(f"/rotate-key {KEY} prod{line}")
    if len(value) > SLACK:
        terminal = Packlead(world.lab.env, "run", f"rotate-key {KEY} prod", given=value)
        until(lambda: newest_number(world) > newest, "it is accepted")
        terminal.stop()  # the bot works on it
    else:
        ada.says(f"/rotate-key {KEY} prod")
        until(lambda: slack.views("U0ADA"), "the form opens")
        slack.submit("U0ADA", {"value": value})
        until(lambda: newest_number(world) > newest, "it is accepted")
    return Asked(ada, "rotate-key", 0, f"accepted as #{newest_number(world)}")


def put_one(world: World) -> None:
    put_first(world.lab.aws, KEY)
    Person("U0ADA", world).says(f"/rotate-key {KEY} prod --generate").ends("done")
