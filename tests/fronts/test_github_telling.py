"""What GitHub is told of deploys: from the log alone, in the end once, whatever it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.adapters.github import GitHub, connect
from bot.events import Done, HostReport, Planned, Step, StepStarted, Stopped, WasCancelled
from bot.fronts.audience import Pen
from bot.fronts.github_teller import MOST, NEWS, Teller
from bot.store import Operation, Store
from tests.fronts.conftest import Worker
from tests.lab.git import Git


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Git]:
    git = Git("127.0.0.1", tmp_path_factory.mktemp("lab"))
    git.start()
    yield git
    git.stop()


@pytest.fixture
def there(lab: Git) -> Iterator[Git]:
    """GitHub, of which nothing was heard yet."""
    lab.github.deployments.clear()
    lab.github.deployment_statuses.clear()
    lab.github.log.clear()
    yield lab
    lab.github.calm()


class Told:
    """A teller whose clock is moved by hand."""

    def __init__(self, lab: Git, store: Store, folder: Path) -> None:
        self.lab, self.store, self.folder, self.now = lab, store, folder, 0.0
        self.again()

    def again(self) -> None:
        """Begin anew, as after a kill."""
        made = connect(
            {"GITHUB_TOKEN": self.lab.token, "GITHUB_API_URL": self.lab.api_url}, "lab/kennel"
        )
        assert isinstance(made, GitHub)
        self.teller = Teller(
            self.store, made, Pen(self.store, self.folder, "github"),
            lambda operation: f"https://packlead.example/operations/{operation.number}",
            lambda: self.now,
        )  # fmt: skip

    def turn(self, later: float = 0.0) -> None:
        self.now += later
        self.teller.turn()

    def states(self, operation: Operation) -> list[str]:
        mine = [d for d in self.lab.github.deployments if d["payload"]["packlead"] == operation.id]
        assert len(mine) <= 1, f"{operation.line} is {len(mine)} deployments"
        return [s["state"] for d in mine for s in self.lab.github.deployment_statuses[d["id"]]]


@pytest.fixture
def told(there: Git, store: Store, tmp_path: Path) -> Told:
    return Told(there, store, tmp_path)


@pytest.fixture
def deploy(store: Store, ask, worker: Worker, lab: Git) -> Callable[..., Operation]:
    """Ask for a deploy, and have it planned."""

    def ask_for(environment: str = "prod", begins: bool = True) -> Operation:
        assert ask("U0ADA", f"deploy {environment} master").ok
        plan = Planned("deploy it", (), (Step("prepare", "prepare"),), ("web1",), lab.head())
        asked = worker.newest()
        worker.begin(asked, plan)
        if begins:
            worker.tell(asked, StepStarted("prepare", "all hosts"))
        return asked

    return ask_for


def test_a_deploy_that_ends_well(told: Told, deploy, worker: Worker):
    asked = deploy()
    told.turn()
    assert told.states(asked) == ["in_progress"]
    worker.tell(asked, HostReport("prodweb1", "serves it", "prepare"))
    told.turn()
    worker.end(asked, Done("prod runs it"))
    told.turn()
    assert told.states(asked) == ["in_progress", "success"]
    [made] = told.lab.github.deployments
    assert made["environment"] == "prod" and made["sha"] == told.lab.head()
    assert made["task"] == "deploy" and made["description"] == "#1 deploy prod master, by ada"
    [begun, ended] = told.lab.github.deployment_statuses[made["id"]]
    assert ended["log_url"] == "https://packlead.example/operations/1"
    assert (begun["description"], ended["description"]) == ("deploy it", "prod runs it")
    calls = len(told.lab.github.log)
    told.turn(1000)
    assert len(told.lab.github.log) == calls, "nothing more to say"


@pytest.mark.parametrize("end", [Stopped("prodweb1 is not healthy"), WasCancelled("bob")])
def test_one_that_does_not(told: Told, deploy, worker: Worker, end):
    asked = deploy()
    worker.end(asked, end, "failed")
    told.turn()
    assert told.states(asked) == ["in_progress", "failure"]


def test_the_next_one_takes_its_place(told: Told, deploy, worker: Worker):
    first, elsewhere = deploy(), deploy("puppystream")
    for one in (first, elsewhere):
        worker.end(one, Done("it runs"))
    second = deploy()
    worker.end(second, Done("it runs"))
    told.turn()
    assert told.states(first) == ["in_progress", "success", "inactive"]
    assert told.states(elsewhere) == told.states(second) == ["in_progress", "success"]


def test_what_never_went_out_is_not_told(told: Told, deploy, ask, worker: Worker):
    refused = deploy(begins=False)
    worker.tell(refused, StepStarted("ci", "it still runs"))
    worker.end(refused, Stopped("CI does not say yes", "", "refused"), "failed")
    assert ask("U0ADA", "deploy prod master --dry-run").ok
    worker.end(worker.newest(), Done("a dry run"))
    assert ask("U0ADA", "scale prod web 3").ok
    told.turn()
    assert told.lab.github.deployments == [] and told.lab.github.log == []
    assert told.teller.tales == {}


@pytest.mark.parametrize("fault", ["503", "429", "nonsense"])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_out_of_order_for_a_while(told: Told, deploy, worker: Worker, fault: str, before: int):
    asked = deploy()
    worker.end(asked, Done("it runs"))
    for _ in range(before):
        told.lab.github.fault("")  # these are answered
    told.lab.github.fault(fault, 4)
    for _ in range(8):
        told.turn(MOST)
    assert told.states(asked) == ["in_progress", "success"]


def test_it_is_not_asked_again_and_again(told: Told, deploy):
    told.lab.github.fault("503", 50)
    deploy()
    for _ in range(100):
        told.turn(0.1)
    assert len(told.lab.github.log) <= 5


def test_one_that_hangs_does_not_hold_up_the_rest(told: Told, deploy, worker: Worker):
    told.lab.github.fault("503")
    first, second = deploy(), deploy("puppystream")
    told.turn()
    assert told.states(first) == [] and told.states(second) == ["in_progress"]


@pytest.mark.parametrize("lost", range(5))
def test_killed_after_any_call(told: Told, deploy, worker: Worker, lost: int):
    """The call is made, and nobody is left to note its answer."""
    asked = deploy()
    worker.end(asked, Done("it runs"))
    keep, count = told.store.keep_note, iter(range(100))

    class Killed(BaseException):
        pass

    def killed(*words: object, **more: object) -> None:
        if next(count) == lost:
            raise Killed
        keep(*words, **more)  # type: ignore[arg-type]

    told.store.keep_note = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        told.turn()
    told.store.keep_note = keep  # type: ignore[method-assign]
    told.again()
    told.turn()
    assert told.states(asked) == ["in_progress", "success"]
    assert told.store.note("github", asked.id)["finished"]


def test_what_is_old_is_no_news(told: Told, deploy, worker: Worker, store: Store):
    asked = deploy()
    worker.end(asked, Done("it runs"))
    store.now = lambda now=store.now: now() + NEWS + 60  # type: ignore[misc]
    told.turn()
    assert told.lab.github.log == []


def test_of_two_machines_one_tells(told: Told, store: Store, tmp_path: Path):
    pen = Pen(store, tmp_path, "github")
    assert told.teller.pen.hold() and not pen.hold()
    assert Pen(store, tmp_path).hold(), "Slack's is another one"
    told.teller.pen.drop()
    assert pen.hold()
