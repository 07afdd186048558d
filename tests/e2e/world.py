"""What a test looks at from outside: the hosts, the balancer, the database, the processes."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.adapters.ansible.place import Place
from bot.config import Config
from bot.store import Store
from tests.e2e.process import Bot
from tests.lab.lab import Lab
from tests.waiting import until

BOT = "U0PACKLEAD"
CHANNELS = ("C0PROD", "C0PUPPY", "C0OPS")
RESIDENTS = ("unshare ", "leash.py ", ".supervisord ", " gunicorn ", " celery ", "[listener]")
LOOKS = ("Describe", "Get", "List")


@dataclass
class World:
    """The lab, the bot in it, and the bot's own database."""

    lab: Lab
    config: Config
    store: Store
    bot: Bot
    forgiven: set[str] = field(default_factory=set)  # what Slack is meant to refuse in this test

    @property
    def hosts(self) -> Hosts:
        return Hosts(self.lab)

    @property
    def runs(self) -> Path:
        return Path(self.config.data) / "runs"

    def runs_of(self, number: int) -> list[Path]:
        """The folders of the playbooks that an operation has started."""
        return sorted(self.runs.glob(f"{number}-*"))

    def begun_of(self, number: int) -> list[str]:
        """The playbooks of an operation, each as often as Ansible has really begun with it."""
        begun = []
        for run in self.runs_of(number):
            lines = map(json.loads, (run / "events.jsonl").read_text().splitlines())
            begun += [run.name for line in lines if line.get("event") == "playbook_on_start"]
        return begun

    def processes_of(self, number: int) -> list[str]:
        """What runs on this machine for an operation's playbooks."""
        runs = self.runs_of(number)
        ours = [str(path).encode() for run in runs for path in (run, Place(run).path)]
        return [
            line for process, line in processes()
            if any(name in line.encode() or name in read(process / "environ") for name in ours)
        ]  # fmt: skip

    def visitors(self) -> list[str]:
        """What runs on the hosts (known by their mounts) and does not live there."""
        here = str(self.lab.folder).encode()
        return [
            line for process, line in processes()
            if not any(name in line for name in RESIDENTS) and here in read(process / "mountinfo")
        ]  # fmt: skip

    def is_at_rest(self, number: int) -> None:
        """Nothing of an operation's playbooks is left, here or on the hosts."""
        left = self.processes_of(number)
        assert not left, f"of #{number} is left: {left}"
        # A session of ssh ends on the host a moment after it has ended here.
        until(lambda: not self.visitors(), lambda: f"on the hosts is left: {self.visitors()}", 20)

    def state(self) -> dict[str, Any]:
        """All that a request which is refused must leave as it is."""
        shown = [m for name in CHANNELS for m in self.lab.slack.messages(name) if m.user == BOT]
        return {
            "what the hosts run": self.hosts.commits(),
            "cards": sorted(message.ts for message in shown),
            "playbooks": sorted(path.name for path in self.runs.glob("*")),
            "releases": [self.store.releases.newest(e) for e in self.config.environments],
            "changes in AWS": [
                call.action for call in self.lab.aws.log if not call.action.startswith(LOOKS)
            ],
        }


class Hosts:
    """The lab's hosts: what is live on each disk, and what is really answered."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def names(self, environment: str = "") -> list[str]:
        return [name for name in self.lab.hosts if name.startswith(environment)]

    def commits(self, environment: str = "") -> dict[str, str]:
        """The commit that is live on each host, by name."""
        return {name: self.commit(name) for name in self.names(environment)}

    def commit(self, name: str) -> str:
        return (self.lab.machines.host(name).srv / "app/current/REVISION").read_text().strip()

    def run(self, commit: str, environment_or_host: str) -> None:
        """Every host whose name begins so has this commit live, and web hosts answer with it."""
        names = self.names(environment_or_host)
        assert names, f"no host is named {environment_or_host}…"
        for name in names:
            live = self.commit(name)
            assert live == commit, f"{name} has {live[:7]} live and not {commit[:7]}"
            if "web" in name:
                told = self.answers(name)
                assert told == commit, f"{name} answers with {told[:7]} and not {commit[:7]}"

    def answers(self, name: str) -> str:
        """The commit of which a web host itself says that it serves it."""
        connection = http.client.HTTPConnection(self.lab.hosts[name], 8000, timeout=60)
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            return str(json.loads(answer.read())["commit"]) if answer.status == 200 else "nothing"
        except OSError:
            return "nothing"
        finally:
            connection.close()

    def is_out(self, name: str, environment: str) -> bool:
        """Whether the balancer sends nobody to a host."""
        return self.lab.fleet.health(environment).get(name) != "healthy"

    def wrong(self, environment: str = "") -> Iterator[str]:
        """Say which web hosts do not serve behind their balancer, in one environment or in all."""
        for each in [environment] if environment else self.lab.balancers:
            health = self.lab.fleet.health(each)
            for name in self.names(f"{each}web"):
                if health.get(name) != "healthy":
                    yield f"{name} is {health.get(name, 'not in the balancer')}"
                elif self.answers(name) != self.commit(name):
                    yield f"{name} answers with {self.answers(name)[:7]}"


def processes() -> Iterator[tuple[Path, str]]:
    """Every process of this machine, with its command line."""
    for process in Path("/proc").glob("[0-9]*"):
        if line := read(process / "cmdline").replace(b"\0", b" ").decode(errors="replace"):
            yield process, line


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def on_host(world: World, name: str, words: str) -> list[int]:
    """The processes on a host whose command line holds these words."""
    here = str(world.lab.machines.host(name).folder).encode()
    return [
        int(process.name) for process, line in processes()
        if words in line and here in read(process / "mountinfo")
    ]  # fmt: skip


def sshd_of(pid: int) -> int:
    """The process of sshd that a process on a host hangs on."""
    while not read(Path(f"/proc/{pid}/cmdline")).startswith(b"sshd"):
        pid = int(read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()[1])
    return pid
