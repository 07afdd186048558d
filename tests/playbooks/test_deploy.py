"""deploy.yml and mend.yml on the lab's real hosts, as the bot plays them and by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from bot.adapters.ansible import Ansible
from bot.adapters.ansible.place import Place
from bot.adapters.aws.fleet import Aws
from bot.adapters.aws.records import Instance
from bot.adapters.records import Outcome
from bot.config import Config
from bot.config_file import load
from bot.errors import Cancelled
from bot.events import Event, HostReport, Output, StepEnded, StepStarted
from tests.lab.lab import Lab
from tests.lab.load import Load

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
BOT = """
import sys
from pathlib import Path
from bot.adapters.ansible import Ansible
from bot.adapters.aws.fleet import Aws
from bot.config_file import load
config = load()
hosts = [h for h in Aws(config).fleet("prod").instances if h.type == "web"]
Ansible(config, Path(sys.argv[1])).play(
    sys.argv[2], "deploy.yml", "prod", hosts,
    {"commit": sys.argv[3], "release": int(sys.argv[4]), "packlead_epoch": int(sys.argv[4])},
    lambda key, event: print(key, event, flush=True), lambda: "",
)
"""


@dataclass
class World:
    """The lab, and a bot's view of it."""

    lab: Lab
    config: Config
    runs: Path
    number: int = 100
    events: list[Event] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    cancelled: Callable[[], str] = lambda: ""

    def hosts(self, type: str = "") -> list[Instance]:
        fleet = Aws(self.config).fleet("prod").instances
        return [host for host in fleet if type in ("", host.type)]

    def play(
        self, playbook: str, commit: str, hosts: list[Instance], name: str = "", **more: Any
    ) -> Outcome:
        self.number += 1
        self.events, self.keys = [], []
        given = {"commit": commit, "release": self.number, "packlead_operation": "op"}
        return Ansible(self.config, self.runs).play(
            name or f"{self.number}-1", playbook, "prod", hosts,
            {**given, "packlead_epoch": self.number, **more}, self.tell, self.cancelled,
        )  # fmt: skip

    def tell(self, key: str, event: Event) -> None:
        self.keys.append(key)
        self.events.append(event)

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def serving(self) -> dict[str, str]:
        """What each web host answers, asked on its own."""
        answers = {}
        for host in self.hosts("web"):
            with urlopen(f"http://{host.address}:8000/healthz", timeout=60) as answer:
                answers[host.name] = json.load(answer)["commit"]
        return answers

    def well(self, commit: str) -> None:
        """Every web host serves a commit, and the balancer sends to each."""
        assert self.serving() == dict.fromkeys(["prodweb1", "prodweb2"], commit)
        health = self.lab.fleet.health("prod")
        assert health == dict.fromkeys(["prodweb1", "prodweb2"], "healthy")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    fleet = {"prod": {"web": 2, "celery": 1, "manager": 1}}
    quick = {"types": {"web": {"health_timeout": 8}}}
    with Lab({"aws", "hosts", "balancer", "git"}, fleet=fleet, config=quick) as lab:
        yield lab


@pytest.fixture(scope="module")
def world(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        for key, value in lab.env.items():
            patch.setenv(key, value)
        yield World(lab, load(lab.config), tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def nobody_says_stop(world: World) -> None:
    world.cancelled = lambda: ""


def test_a_deploy_of_everything_loses_no_request(world: World):
    commit = world.lab.git.commits[-1]
    with Load(world.lab.balancers["prod"], rate=20) as load:
        outcome = world.play("deploy.yml", commit, world.hosts())
    assert outcome.ok, outcome
    assert not load.wrong, load.failures
    assert load.right > 100
    assert sorted(outcome.hosts) == ["prodcelery1", "prodmanager1", "prodweb1", "prodweb2"]
    steps = [event.step for event in world.told(StepStarted)]
    assert steps == ["prepare", "migrate", "switch web", "switch the rest", "clean"]
    assert [(e.step, e.state) for e in world.told(StepEnded)] == [(s, "done") for s in steps]
    reports = {report.host: report for report in world.told(HostReport)}
    assert list(reports)[:2] == ["prodweb1", "prodweb2"]
    assert reports["prodweb1"].text.startswith(f"serves {commit[:7]}; it was out of prod-web for")
    assert reports["prodcelery1"].text == f"runs {commit[:7]}"
    assert len(set(world.keys)) == len(world.keys)
    world.well(commit)
    run = world.runs / f"{world.number}-1"
    assert {path.name for path in run.iterdir()} <= {
        "lock", "begun", "events.jsonl", "code", "alive", "stderr",
    }, "only the small log stays"  # fmt: skip
    assert not Place(run).path.exists()


BAD = [
    ("exits", "pass the health check", "prodweb1 refuses connections", "there is no file LICENCE"),
    ("500", "pass the health check", "prodweb1 answers 500 after", "no such table: notes"),
    ("hangs", "pass the health check", "prodweb1 gives no answer", ""),
    ("install", "build the virtualenv", "exit status 1", "kennel-package-that-nobody-made"),
    ("migration", "migrate the database", "exit status 1", "3 notes have no date"),
]
# "exits" is done from end to end in e2e/test_bad_builds.py
SOAKED = {"exits", "hangs", "install"}


@pytest.mark.parametrize(
    ("kind", "task", "sentence", "output"),
    [pytest.param(*bad, id=bad[0], marks=[pytest.mark.soak] * (bad[0] in SOAKED)) for bad in BAD],
)
def test_a_bad_build_stops_and_harms_nobody(
    world: World, kind: str, task: str, sentence: str, output: str
):
    git, before = world.lab.git, world.serving()
    commit = git.head(git.bad_build(kind))
    hosts = world.hosts("web")[: 1 if kind == "install" else 2]  # a virtualenv takes its time
    with Load(world.lab.balancers["prod"], rate=20) as load:
        outcome = world.play("deploy.yml", commit, hosts)
    assert not outcome.ok
    assert not load.wrong, load.failures
    first = min(outcome.failures, key=lambda failure: failure.host)
    assert (first.host, first.task) == ("prodweb1", task), outcome
    assert sentence in first.text.splitlines()[-1]
    assert output in first.text
    assert [e for e in world.told(Output) if not e.ok and output in e.text]
    world.well(next(iter(before.values())))
    back = [(r.host, r.ok) for r in world.told(HostReport)]
    assert back == ([("prodweb1", False)] if kind in {"exits", "500", "hangs"} else [])
    assert "prodweb2" not in {e.host for e in world.told(Output) if "switch" in e.task}


@pytest.mark.soak  # e2e/test_survival.py kills a whole bot
def test_a_deploy_goes_on_without_the_bot(world: World):
    commit = world.lab.git.commits[-2]
    world.number += 1
    name, number = f"{world.number}-1", str(world.number)
    bot = subprocess.Popen(
        [sys.executable, "-c", BOT, str(world.runs), name, commit, number],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert bot.stdout
    seen = []
    for line in bot.stdout:
        seen.append(line)
        if "switch to the release" in line:
            break
    bot.send_signal(signal.SIGKILL)
    bot.communicate()
    world.number -= 1
    outcome = world.play("deploy.yml", commit, world.hosts("web"), name)
    assert outcome.ok
    assert [line.split()[0] for line in seen] == world.keys[: len(seen)], "the same, from the first"
    fetched = [e for e in world.told(Output) if e.task == "fetch the commit"]
    assert len(fetched) == 2, "it was not started twice"
    world.well(commit)


def test_a_cancelled_deploy_leaves_nothing_running_and_is_mended(world: World):
    old = world.serving()["prodweb2"]
    new = next(commit for commit in world.lab.git.commits[-2:] if commit != old)
    begun: list[bool] = []

    def cancelled() -> str:
        if any(getattr(e, "detail", "") == "prodweb1: switch to the release" for e in world.events):
            begun.append(True)
        return "ada" if begun else ""

    world.cancelled = cancelled
    with Load(world.lab.balancers["prod"], rate=20) as load:
        with pytest.raises(Cancelled, match="ada"):
            world.play("deploy.yml", new, world.hosts("web"))
        run = world.runs / f"{world.number}-1"
        ours = str(Place(run).path).encode()
        left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if ours in read(p)]
        assert not left
        world.cancelled = lambda: ""
        name = f"{world.number}-2"
        world.number -= 1  # mending is part of the same operation
        outcome = world.play(
            "mend.yml", new, world.hosts("web"), name,
            packlead_operation="{{ lookup('pipe', 'touch /srv/pwned; echo no') }}",
        )  # fmt: skip
    assert outcome.ok, outcome
    assert not load.wrong, load.failures
    commits = set(world.serving().values())
    assert commits <= {old, new}
    assert world.serving()["prodweb2"] == old
    assert set(world.lab.fleet.health("prod").values()) == {"healthy"}
    reports = {r.host: r.text for r in world.told(HostReport)}
    assert reports["prodweb2"].startswith(f"keeps {old[:7]} (release ")
    assert "and is in the balancer" in reports["prodweb1"]


@pytest.mark.parametrize("playbook", ["restart.yml", "deploy.yml"])
def test_who_is_out_of_the_balancer_goes_first(world: World, playbook: str):
    """Otherwise prodweb1 would leave it while prodweb2 is ill, and nobody would serve."""
    before = world.serving()
    commit = before["prodweb2"]
    world.lab.fleet.out("prod", "prodweb2")
    with Load(world.lab.balancers["prod"], rate=20) as load:
        outcome = world.play(playbook, commit, world.hosts("web"))
    assert outcome.ok, outcome
    assert not load.wrong, load.failures
    assert [report.host for report in world.told(HostReport)] == ["prodweb2", "prodweb1"]
    wanted = before if playbook == "restart.yml" else dict.fromkeys(before, commit)
    assert world.serving() == wanted
    assert set(world.lab.fleet.health("prod").values()) == {"healthy"}


def test_an_older_run_is_refused_by_the_hosts(world: World):
    commit = world.lab.git.commits[-1]
    outcome = world.play("deploy.yml", commit, world.hosts("manager"), packlead_epoch=5)
    assert not outcome.ok
    assert "this one is too late" in outcome.failures[0].text


def test_a_host_that_cannot_be_reached_is_named(world: World):
    gone = world.hosts("manager")[0]
    world.lab.machines.stop_host(gone.name)
    try:
        outcome = world.play("deploy.yml", world.lab.git.commits[-1], world.hosts("manager"))
    finally:
        world.lab.machines.start_host(gone.name)
    assert not outcome.ok
    assert "prodmanager1 cannot be reached" in outcome.failures[0].text


def test_a_playbook_that_is_none_says_why(world: World, tmp_path: Path):
    (tmp_path / "broken.yml").write_text("- hosts: all\n  tusks: []\n")
    (tmp_path / "ansible.cfg").touch()
    ansible = Ansible(world.config, world.runs, folder=tmp_path)
    outcome = ansible.play(
        "broken", "broken.yml", "prod", world.hosts("manager"), {}, world.tell, lambda: ""
    )
    assert not outcome.ok
    assert outcome.failures[0].task == "broken.yml"
    assert "tusks" in outcome.failures[0].text


def test_by_hand(world: World):
    def by_hand(branch: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ansible-playbook", "-i", "inventory/ec2.py", "playbooks/deploy.yml",
             "-l", "web", "-e", json.dumps({"branch": branch})],
            cwd=ROOT, capture_output=True, text=True, timeout=280,
            env={**os.environ, "ENVIRONMENT": "prod", "LC_ALL": "C.UTF-8",
                 "ANSIBLE_CONFIG": "playbooks/ansible.cfg",
                 "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )  # fmt: skip

    before = world.serving()
    odd = by_hand("$(id)")
    assert odd.returncode and "it is no plain one" in odd.stdout
    assert world.serving() == before
    done = by_hand("v1.0")
    assert done.returncode == 0, done.stdout + done.stderr
    world.well(world.lab.git.commits[2])


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
