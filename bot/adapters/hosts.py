"""What each host runs, asked of the host itself, all at once: its health path, or one short ssh."""

from __future__ import annotations

import http.client
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bot.adapters.aws.records import Instance
from bot.adapters.records import Live, Ready
from bot.config import Config

SECONDS = 10
COMMIT = re.compile(r"[0-9a-f]{40}")


class Hosts:
    """The hosts of the fleet, as the bot's machine reaches them."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def live(self, instances: tuple[Instance, ...]) -> tuple[Live, ...]:
        """Return the commit that each instance runs, in the order given."""
        with ThreadPoolExecutor(max_workers=max(1, min(32, len(instances)))) as pool:
            return tuple(pool.map(self._one, instances))

    def _one(self, instance: Instance) -> Live:
        settings = self.config.types.get(instance.type)
        path = settings.health if settings else ""
        # An ssh login takes a quarter of a second, and tells only what ought to run.
        if settings and path and (told := _answered(instance.address, settings.port, path)):
            return Live(instance.name, told)
        return self._by_ssh(instance)

    def ready(self, instances: tuple[Instance, ...]) -> tuple[Ready, ...]:
        """Return which commits each instance holds as releases that were well there."""
        with ThreadPoolExecutor(max_workers=max(1, min(32, len(instances)))) as pool:
            return tuple(pool.map(self._ready, instances))

    def _ready(self, instance: Instance) -> Ready:
        look = 'for file in "$1"/releases/*/.well; do cat "$file" 2>&-; done; true'
        ran = self._told(instance, "sh", "-c", look, "sh", self._root(instance))
        if ran is None:
            return Ready(instance.name, trouble="unreachable")
        return Ready(instance.name, tuple(dict.fromkeys(COMMIT.findall(ran.stdout))))

    def _by_ssh(self, instance: Instance) -> Live:
        ran = self._told(instance, "cat", f"{self._root(instance)}/current/REVISION")
        if ran is None:
            return Live(instance.name, trouble="unreachable")
        said = ran.stdout.strip()
        if ran.returncode:
            return Live(instance.name, trouble="nothing yet")
        return (
            Live(instance.name, said)
            if COMMIT.fullmatch(said)
            else Live(instance.name, trouble="no commit in REVISION")
        )

    def _root(self, instance: Instance) -> str:
        return self.config.app.root.replace("{name}", instance.name)

    def _told(self, instance: Instance, *words: str) -> subprocess.CompletedProcess[str] | None:
        """Run a program on a host and return how it ended; None where the host is out of reach."""
        argv = list(words)
        if self.config.ssh.connection == "ssh":
            argv = [*ssh(self.config), instance.address, " ".join(map(shlex.quote, words))]
        try:
            ran = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", timeout=SECONDS,
                check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        return None if ran.returncode == 255 else ran


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
