"""rotate_key.yml on the lab's real hosts: exact bytes, nobody unserved, no value left behind."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from bot.adapters.ansible import Ansible
from bot.adapters.ansible.place import Place
from bot.adapters.aws.fleet import Aws
from bot.adapters.aws.records import Instance
from bot.adapters.aws.secrets import Secrets
from bot.adapters.records import Outcome
from bot.config import Config
from bot.config_file import load
from bot.errors import Cancelled
from bot.events import Event, HostReport, Output, StepStarted
from tests.lab.lab import Lab
from tests.lab.load import Load

pytestmark = pytest.mark.lab
KEY = b"a key of the house, long enough for anybody"
NAME = "TWITTER_KEY"
WEB = ["prodweb1", "prodweb2"]
ALL = ["prodcelery1", "prodmanager1", *WEB]
GOOD = "good-key-0123456789"
ODD = "-first $(id) `id` {{ lookup('pipe','id') }} '\"\\\nsecond = #line\\n 🔑 \t"


@dataclass
class World:
    """The lab, a bot's view of it, and what was typed for each operation."""

    lab: Lab
    config: Config
    runs: Path
    number: int = 100
    typed: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = Secrets(self.config, KEY, self.typed.get)

    def hosts(self, *names: str) -> list[Instance]:
        fleet = Aws(self.config).fleet("prod").instances
        return [host for host in fleet if not names or host.name in names]

    def put(self, value: str) -> int:
        """Put a value into the store; return its version."""
        operation = f"typed {len(self.typed)}"
        self.typed[operation] = value
        return self.keys.put("prod", NAME, operation, "ada").version

    def play(
        self,
        version: int,
        hosts: list[Instance] | None = None,
        cancelled: Callable[[], str] = lambda: "",
        **more: Any,
    ) -> Outcome:
        back = bool(more.get("packlead_back"))  # part of the same operation
        self.number += not back
        self.events = []
        given = {
            "packlead_operation": "op",
            "packlead_epoch": self.number,
            "packlead_key": NAME,
            "packlead_version": version,
            "packlead_secrets": {"store": "ssm", "path": "/app/prod"},
            "packlead_says": f"has {NAME} version {version}",
        }
        return Ansible(self.config, self.runs).play(
            f"{self.number}-{1 + back}", "rotate_key.yml", "prod", hosts or self.hosts(),
            {**given, **more},
            lambda key, event: self.events.append(event), cancelled,
        )  # fmt: skip

    def has(self, value: str) -> int:
        """Make all hosts have a value; return its version."""
        if value not in self.known:
            self.known[value] = self.put(value)
        if any(value not in self.file(name).read_text() for name in ALL):
            assert self.play(self.known[value]).ok
        return self.known[value]

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def file(self, name: str) -> Path:
        return self.lab.machines.host(name).srv / "app/shared/env"

    def read(self, name: str) -> bytes:
        """The value on a host, as a shell reads it."""
        line = f'. {self.file(name)}; printf %s. "${NAME}"'
        said = subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout
        assert said.endswith(b"."), name
        return said[:-1]

    def served(self, key: str = NAME) -> dict[str, str | None]:
        """The fingerprint of a key in the process of each web host."""
        found = {}
        for host in self.hosts(*WEB):
            with urlopen(f"http://{host.address}:8000/environment?key={key}", timeout=60) as answer:
                found[host.name] = json.load(answer)["sha256"]
        return found

    def everywhere(self, value: str, names: Sequence[str] = ALL) -> None:
        """The very same bytes in every file, as a shell reads it, and in every process."""
        for name in names:
            file = self.file(name)
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert self.read(name) == value.encode(), name
        digest = hashlib.sha256(value.encode()).hexdigest()
        served = self.served()
        assert {served[name] for name in WEB if name in names} == {digest}
        assert self.lab.fleet.health("prod") == dict.fromkeys(WEB, "healthy")

    def left_nowhere(self, value: str) -> None:
        """The value is in no event and in no file of the runs."""
        forms = {value, repr(value)[1:-1], json.dumps(value)[1:-1]}
        told = repr(self.events)
        files = b"".join(f.read_bytes() for f in self.runs.rglob("*") if f.is_file())
        for form in forms:
            assert form not in told
            assert form.encode() not in files
        assert not Place(self.runs / f"{self.number}-1").path.exists()


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


def test_every_host_gets_the_exact_bytes_and_nobody_waits(world: World):
    version = world.put(ODD)
    with Load(world.lab.balancers["prod"], rate=20) as load:
        outcome = world.play(version)
    assert outcome.ok, outcome
    assert not load.wrong, load.failures
    assert load.right > 50
    world.everywhere(ODD)
    world.left_nowhere(ODD)
    steps = [event.step for event in world.told(StepStarted)]
    assert steps == ["prepare", "switch web", "switch the rest"]
    said = {report.host: report.text for report in world.told(HostReport)}
    assert said["prodweb1"].startswith(f"has {NAME} version {version}; it was out of prod-web for")
    assert said["prodcelery1"] == f"has {NAME} version {version}"
    kept = world.file("prodweb1").read_text()
    assert "MAIL_KEY=mail-key-before-any-rotation\n" in kept, "other keys stay as they were"


def test_once_more_touches_nobody(world: World):
    version = world.put(ODD)
    assert world.play(version).ok
    world.events.clear()
    before = world.file("prodweb1").stat().st_mtime_ns
    outcome = world.play(version)
    assert outcome.ok, outcome
    assert not world.told(HostReport)
    assert world.file("prodweb1").stat().st_mtime_ns == before


def test_a_host_that_is_not_well_with_it_stops_the_roll_and_all_go_back(world: World):
    good, bad = world.has(GOOD), world.put("revoked on prodweb2 é 0123456789")
    with Load(world.lab.balancers["prod"], rate=20) as load:
        outcome = world.play(bad)
        assert not outcome.ok
        first = outcome.failures[0]
        assert (first.host, first.task) == ("prodweb2", "be well with the key")
        assert "prodweb2 refuses connections" in first.text
        assert f"does not take the key [{NAME}]" in first.text, "its log, with the value left out"
        world.left_nowhere("revoked on prodweb2 é 0123456789")
        assert world.lab.fleet.health("prod").get("prodweb2") != "healthy"
        again = world.play(good, packlead_back=True)
    assert again.ok, again
    assert not load.wrong, load.failures
    world.everywhere(GOOD)
    said = {report.host for report in world.told(HostReport)}
    assert said == set(WEB), "who never had the new one stays as it is"


def test_cancelled_in_the_middle_and_back(world: World):
    good, new = world.has(GOOD), world.put("new-key-0123456789")
    begun: list[bool] = []

    def cancelled() -> str:
        if any(getattr(e, "detail", "") == "prodweb1: give it the key" for e in world.events):
            begun.append(True)
        return "ada" if begun else ""

    with Load(world.lab.balancers["prod"], rate=20) as load:
        with pytest.raises(Cancelled, match="ada"):
            world.play(new, cancelled=cancelled)
        outcome = world.play(good, packlead_back=True)
    assert outcome.ok, outcome
    assert not load.wrong, load.failures
    world.everywhere(GOOD)


def test_on_the_way_back_who_is_out_goes_first(world: World):
    """As where the playbook and its machine were lost after prodweb2 had got the key."""
    good, new = world.has(GOOD), world.put("another-key-0123456789")
    assert world.play(new).ok
    world.lab.fleet.out("prod", "prodweb2")
    with Load(world.lab.balancers["prod"], rate=20) as load:
        assert world.play(good, packlead_back=True).ok
    assert not load.wrong, load.failures
    world.everywhere(GOOD)
    assert world.lab.fleet.health("prod")["prodweb2"] == "healthy"


def test_a_key_goes_away(world: World):
    version, some = world.has(GOOD), world.hosts("prodweb1", "prodmanager1")
    assert world.play(0, some).ok
    for host in some:
        assert NAME not in world.file(host.name).read_text()
    assert world.play(version, some).ok
    world.everywhere(GOOD)


def test_an_older_operation_is_refused_and_a_version_that_is_not_there_is_named(world: World):
    version = world.put("another-0123456789")
    late = world.play(version, packlead_epoch=5)
    assert not late.ok
    assert "this one is too late" in late.failures[0].text
    gone = world.play(99)
    assert not gone.ok
    assert "fetching version 99 of /app/prod/TWITTER_KEY" in gone.failures[0].text
    assert not [e for e in world.told(Output) if "leave" in e.task], "nobody was touched"


def test_the_value_is_in_no_process_list(world: World):
    seen: list[str] = []
    value = "process-canary-0123456789"
    version = world.put(value)

    def look() -> str:
        for process in Path("/proc").glob("[0-9]*"):
            for part in ("cmdline", "environ"):
                try:
                    held = (process / part).read_bytes()
                except OSError:
                    continue
                if value.encode() in held and int(process.name) != os.getpid():
                    seen.append(f"{part} of {process.name}: {held[:80]!r}")
        for folder, _, names in os.walk("/dev/shm"):  # of which some vanish meanwhile
            files = [Path(folder) / name for name in names]
            seen.extend(str(f) for f in files if f.is_file() and value.encode() in read(f))
        return ""

    assert world.play(version, world.hosts("prodweb1", "prodmanager1"), cancelled=look).ok
    # What the application itself was given is its own: gunicorn keeps its environment in memory.
    assert not seen


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_from_secrets_manager_as_well(world: World):
    told = {**world.config.model_dump(), "secrets": {"store": "secretsmanager"}}
    keys = Secrets(Config.model_validate(told), KEY, {"one": ODD}.get)
    version = keys.put("prod", NAME, "one", "ada").version
    where, some = {"store": "secretsmanager", "path": "/app/prod"}, ["prodweb1", "prodmanager1"]
    assert world.play(version, world.hosts(*some), packlead_secrets=where).ok
    world.everywhere(ODD, some)
    world.left_nowhere(ODD)
