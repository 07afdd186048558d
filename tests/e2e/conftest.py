"""The whole of it: one lab a worker of pytest, the bot as a real process in it, people who talk.

After every test all is well again, by the test's own doing: the hosts serve behind their balancers,
nothing runs, nobody holds an environment, and Slack had nothing to refuse and nobody to wake.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.config_file import load
from bot.store import Store
from tests.e2e.people import Person
from tests.e2e.process import Bot, Packlead
from tests.e2e.world import World
from tests.lab.lab import Lab
from tests.waiting import PATIENCE, until

HERE = Path(__file__).parent
CONFIG = {
    # There is a puppycrate in the config, but not (yet) one instance of it.
    "environments": {
        "puppycrate": {"channel": "C0OPS", "branch": "master"},
        "puppystream": {"shell": True, "shell_seconds": 15.0},
    },
    "app": {"line_seconds": 8.0},
    "types": {"web": {"health_timeout": 15}},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.lab)
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="package")  # an idle lab and its bot would slow down what comes after
def lab() -> Iterator[Lab]:
    with Lab(config=CONFIG) as lab:
        yield lab


@pytest.fixture(scope="package")
def house(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with living_in(lab, tmp_path_factory.mktemp("bot")) as world:
        yield world


@contextmanager
def living_in(lab: Lab, folder: Path) -> Iterator[World]:
    """The lab, and a bot that is installed in its Slack as its own manifest asks for it."""
    env = {**lab.env, "PORT": "0"}
    lab.slack.ack_seconds = PATIENCE  # no test times the bot
    lab.slack.install(json.loads(Packlead(env, "manifest").ends(0).out))
    bot = Bot(env, folder / "log")
    config = load(lab.config)
    Path(config.data).mkdir(parents=True, exist_ok=True)
    store = Store(f"sqlite:///{config.data}/packlead.db")
    yield World(lab, config, store, bot)
    store.close()
    bot.stop()


@pytest.fixture
def world(house: World) -> Iterator[World]:
    """The bot runs, and after the test all is well."""
    if not house.bot.lives:
        house.bot.start()
    slack = house.lab.slack
    refused, mentions = len(slack.refused), len(slack.mentions)
    house.forgiven.clear()
    before = set(house.runs.glob("*"))
    yield house
    slack.clear_faults()
    house.lab.aws.faults.clear()
    if not house.bot.lives:
        house.bot.start()
    until(lambda: not house.store.live(), lambda: f"{house.store.live()} ends")
    until(lambda: not house.store.unfinished("slack"), "Slack shows how all of it has ended")
    if played := {int(run.name.split("-")[0]) for run in set(house.runs.glob("*")) - before}:
        until(lambda: not [*house.hosts.wrong()], lambda: "; ".join(house.hosts.wrong()))
        for number in played:
            house.is_at_rest(number)
    wrong = [one for one in slack.refused[refused:] if one.error not in house.forgiven]
    assert not wrong, "Slack refused something"
    assert slack.mentions[mentions:] == [], "everybody in a channel was called"
    for environment in house.config.environments:
        assert house.store.locks.of(environment) is None, f"{environment} is still locked"


@pytest.fixture
def people(world: World) -> Callable[[str], Person]:
    return lambda name: Person(f"U0{name.upper()}", world)


@pytest.fixture
def ada(world: World) -> Person:
    return Person("U0ADA", world)


@pytest.fixture
def bob(world: World) -> Person:
    return Person("U0BOB", world)


@pytest.fixture
def commit(world: World, request: pytest.FixtureRequest) -> Callable[[], tuple[str, str]]:
    """Push a commit that no other test has, to a branch of its own: (branch, commit).

    It is master's newest too: so it takes nothing away that another test has deployed.
    """
    count = iter(range(100))

    def push() -> tuple[str, str]:
        number, name = next(count), request.node.name.split("[")[0].removeprefix("test_")
        branch = f"e2e/{name}-{number}"[:80]
        files = {"e2e.txt": f"{name} {number}\n"}
        new = world.lab.git.commit("master", files, f"Say {name[:40]} {number}")
        world.lab.git.branch(branch, new)
        return branch, new

    return push


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where one fails, show what Slack shows and what the bot has logged."""
    report = yield
    house = getattr(item, "funcargs", {}).get("world")
    if house is not None and report.failed:
        transcript = house.lab.slack.transcript()
        report.sections.append(("Slack", "\n".join(transcript.splitlines()[-80:])))
        if isinstance(house.bot, Bot):  # of several machines each tells its own
            report.sections.append(("the bot's log", house.bot.tail()))
    return report
