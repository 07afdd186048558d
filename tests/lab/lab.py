"""Lab: the parts of the world put together, on one address range and in one folder.

    with Lab() as lab:                          # everything; or Lab(parts={"aws", "slack"})
        subprocess.run(["packlead", "up"], env={**os.environ, **lab.env})

Parts are imported when they are started, so that a lab of one part needs only what that part needs.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab import address, config
from tests.lab.part import Part
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.lab.aws import Aws
    from tests.lab.aws.following import Unseen
    from tests.lab.balancer import Balancers
    from tests.lab.fleet import Counts, Fleet
    from tests.lab.git import Git
    from tests.lab.hosts import Hosts
    from tests.lab.slack import Slack

PARTS = ("aws", "hosts", "balancer", "git", "slack")
NEEDS = {"hosts": "aws", "balancer": "aws"}
DEPLOYS_SECRET = "the-lab's-secret-of-deploys"
NOWHERE = "application.git"  # the repository in the config where git is not started


class Lab(Part):
    """The lab; a part that is not started has no attribute here."""

    aws: Aws
    fleet: Fleet
    machines: Hosts
    balancer: Balancers
    git: Git
    slack: Slack

    def __init__(
        self,
        parts: Collection[str] = PARTS,
        *,
        folder: Path | None = None,
        fleet: Counts | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """`fleet` is instead of the usual one: {"prod": {"web": 4}}; `config` is laid over it."""
        if wrong := set(parts) - set(PARTS):
            raise ValueError(f"no such part: {', '.join(sorted(wrong))}")
        for part, needed in NEEDS.items():
            if part in parts and needed not in parts:
                raise ValueError(f"{part} needs {needed}: start them together")
        self.parts = frozenset(parts)
        self._counts, self._config = fleet, config or {}
        self._given = Path(folder).resolve() if folder else None
        self._started: list[Any] = []

    def start(self) -> None:
        self._range = address.claim()
        self.folder = self._given or Path(tempfile.mkdtemp(prefix=address.FOLDER))
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._given:
            self._range.note(self.folder)
        try:
            self._start_parts()
            if "aws" in self.parts:
                self.aws.calm()  # what the parts asked at their start is in no test's log
            self.config = self._write_config()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        try:
            with contextlib.ExitStack() as stack:  # each is stopped, whatever happens to the others
                for part in self._started:
                    stack.callback(part.stop)
                self._started.clear()
        finally:
            if not self._given:
                _remove(self.folder)
            self._range.free()

    @property
    def env(self) -> dict[str, str]:
        """The environment that points a Packlead at this lab; what is not started is left out."""
        # Port 0: several labs, and whatever else listens here, are up at once.
        env = {"PACKLEAD_CONFIG": str(self.config), "PORT": "0"}
        if "aws" in self.parts:
            env |= self.aws.env
        if "git" in self.parts:
            env["GITHUB_API_URL"] = self.git.api_url
            env["GITHUB_TOKEN"] = self.git.token
            env["GITHUB_WEBHOOK_SECRET"] = self.git.webhook_secret
            env["PACKLEAD_DEPLOYS_SECRET"] = DEPLOYS_SECRET
        if "slack" in self.parts:
            env["SLACK_API_URL"] = self.slack.api_url
            env["SLACK_BOT_TOKEN"] = self.slack.bot_token
            env["SLACK_APP_TOKEN"] = self.slack.app_token
        return env

    @property
    def balancers(self) -> dict[str, str]:
        """Environment -> URL of what stands before its web hosts."""
        return dict(self.balancer.urls) if "balancer" in self.parts else {}

    @property
    def repository(self) -> str:
        """Where the application can be cloned from and pushed to; empty without git."""
        return self.git.url if "git" in self.parts else ""

    @property
    def hosts(self) -> dict[str, str]:
        """Name -> address of every running host."""
        return self.fleet.addresses() if "aws" in self.parts else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What this lab does otherwise, because the machine has no better."""
        parts = [part for part in self._started if hasattr(part, "machine")]
        return tuple(dict.fromkeys(n for part in parts for n in part.machine.sentences()))

    def described(self) -> dict[str, Any]:
        """Everything as one object, for those outside."""
        told: dict[str, Any] = {
            "env": self.env,
            "balancers": self.balancers,
            "repository": self.repository,
            "hosts": self.hosts,
            "config": str(self.config),
            "folder": str(self.folder),
            "notes": list(self.notes),
        }
        if "slack" in self.parts:
            told["slack"] = {
                "page": self.slack.page_url,
                "signing_secret": self.slack.signing_secret,
                "api": self.slack.api_url,
            }
        return told

    def _start_parts(self) -> None:
        """Start at once what does not wait for another; whatever has started is in _started."""
        with ThreadPoolExecutor(len(PARTS), "lab") as pool:
            work: dict[str, Future[None]] = {}

            def begin(name: str, start: Callable[[], None], *after: str) -> None:
                def run() -> None:
                    for other in after:
                        work[other].result()
                    start()

                work[name] = pool.submit(run)

            if self.parts & {"git", "hosts"}:
                begin("git", self._start_git)
            if "aws" in self.parts:
                from tests.lab.aws import Aws

                self.aws = Aws(self._range.services, self.folder / "aws")
                begin("aws", self._start_aws)
                followed = self.aws.unseen(work["aws"].result)
            if "slack" in self.parts:
                begin("slack", self._start_slack)
            if "balancer" in self.parts:
                begin("balancer", lambda: self._start_balancer(followed), "aws")
            if "hosts" in self.parts:
                begin("hosts", lambda: self._start_hosts(followed), "git")
            for future in work.values():
                future.result()
        if {"hosts", "balancer"} <= self.parts:
            self._wait_for_health()

    def _wait_for_health(self, seconds: float = PATIENCE) -> None:
        """The hosts are up; wait until the balancers have seen it."""
        until = time.monotonic() + seconds
        for environment in self.balancers:
            while set(states := self.fleet.health(environment).values()) - {"healthy"}:
                if time.monotonic() > until:
                    raise RuntimeError(f"the balancer of {environment} tells {', '.join(states)}")
                time.sleep(0.05)

    def _start_aws(self) -> None:
        from tests.lab.fleet import SEED, Fleet, seed

        self._start(self.aws)
        self.fleet = Fleet(self.aws)
        seed(self.aws, self._range.subnet, SEED if self._counts is None else self._counts)

    def _start_git(self) -> None:
        from tests.lab.git import Git

        self.git = Git(self._range.services, self.folder)
        if "git" in self.parts:
            self._start(self.git)
        else:
            self.git.create()  # the hosts run what is in it

    def _start_slack(self) -> None:
        from tests.lab.slack import Slack

        self.slack = Slack(self._range.services, self.folder / "slack")
        self._start(self.slack)

    def _start_balancer(self, aws: Unseen) -> None:
        from tests.lab.balancer import Balancers

        self.balancer = Balancers(aws, self.folder, self._range.services)
        self._start(self.balancer)

    def _start_hosts(self, aws: Unseen) -> None:
        from tests.lab.hosts import Hosts

        self.machines = Hosts(aws, self.folder, self._range.subnet, self.git)
        self._start(self.machines)

    def _start(self, part: Any) -> None:
        self._started.append(part)  # first, so that one which gets stuck half-way is stopped too
        part.start()

    def _write_config(self) -> Path:
        environments = list(dict.fromkeys([*config.CHANNELS, *(self._counts or {})]))
        repository = self.repository or str(self.folder / NOWHERE)
        more = config.merged(
            config.of_hosts(self.machines) if "hosts" in self.parts else {}, self._config
        )
        return config.write(self.folder / "packlead.toml", repository, environments, more)


def _remove(folder: Path) -> None:
    """Remove it, several parts at once: the hosts' virtualenvs are tens of thousands of files."""
    with ThreadPoolExecutor(4) as pool:
        for path in folder.glob("*/*"):
            pool.submit(subprocess.run, ["rm", "-rf", str(path)])
    shutil.rmtree(folder, ignore_errors=True)
