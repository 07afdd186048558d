"""What each host runs, asked of the host itself, all at once: its health path, or one short ssh."""

from __future__ import annotations

import getpass
import http.client
import re
import shlex
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bot.adapters.aws.records import Instance
from bot.adapters.records import Live, Ready
from bot.config import Config

SECONDS = 10
COMMIT = re.compile(r"[0-9a-f]{40}")
LOOK = """cat "$1/current/REVISION" 2>&-; printf '\\n--\\n'
for file in "$1"/releases/*/.well; do cat "$file" 2>&-; done; true"""


class Hosts:
    """The hosts of the fleet, as the bot's machine reaches them."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def live(self, instances: tuple[Instance, ...]) -> tuple[Live, ...]:
        """Return the commit that each instance runs, in the order given."""
        with ThreadPoolExecutor(max_workers=max(1, min(32, len(instances)))) as pool:
            return tuple(pool.map(self._one, instances))

    def _one(self, instance: Instance) -> Live:
        # An ssh login takes a quarter of a second, and tells only what ought to run.
        return self._by_health(instance) or self._by_ssh(instance)

    def ready(self, instances: tuple[Instance, ...]) -> tuple[Ready, ...]:
        """Return what each instance runs, and which commits it holds as releases that were well."""
        with ThreadPoolExecutor(max_workers=max(1, min(32, len(instances)))) as pool:
            return tuple(pool.map(self._ready, instances))

    def _ready(self, instance: Instance) -> Ready:
        ran = self._told(instance, "sh", "-c", LOOK, "sh", self._root(instance))
        if ran is None:
            return Ready(instance.name, self._one(instance), trouble="unreachable")
        now, _, well = ran.stdout.partition("\n--\n")
        live = self._by_health(instance) or _revision(instance, now)
        return Ready(instance.name, live, tuple(dict.fromkeys(COMMIT.findall(well))))

    def _by_health(self, instance: Instance) -> Live | None:
        settings = self.config.types.get(instance.type)
        if not settings or not settings.health:
            return None
        told = _answered(instance.address, settings.port, settings.health)
        return Live(instance.name, told) if told else None

    def _by_ssh(self, instance: Instance) -> Live:
        ran = self._told(instance, "cat", f"{self._root(instance)}/current/REVISION")
        if ran is None:
            return Live(instance.name, trouble="unreachable")
        return _revision(instance, "" if ran.returncode else ran.stdout)

    def _root(self, instance: Instance) -> str:
        return self.config.app.root.replace("{name}", instance.name)

    def _told(self, instance: Instance, *words: str) -> subprocess.CompletedProcess[str] | None:
        """Run a program on a host, as the application's user where that may be, and return how it
        ended; None where the host is out of reach."""
        owner = as_owner(self.config)
        ran = self._ran(instance, [*owner, *words])
        refused = ran is not None and ran.returncode and owner
        return self._ran(instance, words) if refused else ran

    def _ran(
        self, instance: Instance, words: Sequence[str]
    ) -> subprocess.CompletedProcess[str] | None:
        argv = list(words)
        if self.config.ssh.connection == "ssh":
            argv = [*ssh(self.config), instance.address, shlex.join(words)]
        try:
            ran = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", timeout=SECONDS,
                check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        return None if ran.returncode == 255 else ran


def _revision(instance: Instance, text: str) -> Live:
    """Read a REVISION; an empty one is none."""
    said = text.strip()
    if not said:
        return Live(instance.name, trouble="nothing yet")
    if not COMMIT.fullmatch(said):
        return Live(instance.name, trouble="no commit in REVISION")
    return Live(instance.name, said)


def _answered(address: str, port: int, path: str) -> str:
    """Return the commit that a health path tells; nothing where it does not answer at once."""
    connection = http.client.HTTPConnection(address, port, timeout=1)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        told = COMMIT.search(answer.headers.get("X-Commit", "")) or COMMIT.search(
            answer.read(65536).decode("ascii", "replace")
        )
        return told[0] if told and answer.status == 200 else ""
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def as_owner(config: Config) -> list[str]:
    """Return the words that make a program the application's user's, where we come as another."""
    app, user = config.app, config.ssh.user
    if not app.user or app.user == (user or getpass.getuser()):
        return []
    # Of root's PAM or of sudo's rules: a host that is reached as root needs no sudo.
    become = ["runuser", "-u", app.user, "--"] if user == "root" else []
    return become or ["sudo", "-n", "-H", "-u", app.user, "--"]


def ssh(config: Config) -> list[str]:
    """Return the words that reach a host of the config, up to its address."""
    words = ["ssh", "-oBatchMode=yes", f"-oConnectTimeout={SECONDS - 2}", f"-p{config.ssh.port}"]
    if config.ssh.user:
        words.append(f"-l{config.ssh.user}")
    if config.ssh.key:
        words += ["-i", str(Path(config.ssh.key).expanduser()), "-oIdentitiesOnly=yes"]
    if config.ssh.known_hosts:
        words.append(f"-oUserKnownHostsFile={Path(config.ssh.known_hosts).expanduser()}")
    return words
