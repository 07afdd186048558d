"""Programs of the application on its hosts, by OpenSSH: a command, a shell, a terminal.

What a person typed travels as one JSON word, quoted for the login shell there: no shell interprets
it. What runs there is `there.py`; the host's key is checked, as ssh does.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bot import detached
from bot.adapters.aws.records import Instance
from bot.adapters.hosts import as_owner, ssh
from bot.adapters.records import Ran, Talked
from bot.adapters.remote import child, talk, there
from bot.adapters.remote.loop import LOOP
from bot.adapters.remote.ran import Story
from bot.config import Config
from bot.events import Event
from bot.outside import Line

KEPT = ("HOME", "USER", "LOGNAME", "PATH", "TZ", "LANG", "SSH_AUTH_SOCK")
ALIVE = ("-oServerAliveInterval=5", "-oServerAliveCountMax=3", "-oForwardAgent=no")


class Remote:
    """Runs commands detached, below the folder `runs`; asked again, attaches to the same run."""

    def __init__(self, config: Config, runs: Path, lease: float = 0) -> None:
        self._config, self._runs, self._lease = config, runs.absolute(), lease

    def begun(self, place: str) -> bool:
        """Say whether this machine knows of a run."""
        return detached.state(self._runs / place) != "new"

    def run(
        self,
        place: str,
        host: Instance,
        argv: Sequence[str],
        seconds: float,
        tell: Callable[[str, Event], None],
        cancelled: Callable[[], str],
    ) -> Ran:
        """Run a command of the application to its end, and return how it ended.

        Raises Cancelled when somebody said stop and it has ended; detached.Lost when the run
        vanished.
        """
        run, story = self._runs / place, Story(host.name)
        if detached.state(run) == "new":
            words = [*self._way(host), *self._there(host, "run", argv)]
            program = [sys.executable, "-P", child.__file__, str(seconds), *words]
            detached.start(run, program, _environment(), self._lease)

        def on_line(number: int, line: detached.Line) -> None:
            for event in story.read(line):
                tell(str(number), event)

        code = detached.wait(run, on_line, cancelled)
        return story.end(code, detached.errors(run, 3))

    def talk(self, host: Instance, seconds: float, line: Line) -> Talked:
        """Hold a shell that runs what `line` hears, until one side ends it."""
        app = self._config.app
        words = [*self._way(host), *self._there(host, "lines", app.line_shell, loop=LOOP)]
        return talk.hold(words, _environment(), host.name, seconds, app.line_seconds, line)

    def terminal(self, name: str, address: str) -> list[str]:
        """Return the words that open the application's shell in this terminal."""
        host = Instance("", name, "", "", address, "running")
        return [
            *self._way(host, "-t"), *self._there(host, "terminal", self._config.app.shell)
        ]  # fmt: skip

    def _way(self, host: Instance, *options: str) -> list[str]:
        if self._config.ssh.connection == "local":
            return []
        return [*ssh(self._config), *ALIVE, *(options or ("-T",)), host.address]

    def _there(self, host: Instance, mode: str, argv: Sequence[str], **more: Any) -> list[str]:
        app = self._config.app
        root = app.root.replace("{name}", host.name)
        about = json.dumps({"root": root, "mode": mode, "argv": list(argv), **more})
        python = f"{root}/current/virtualenv/bin/python"
        program = [python, "-c", Path(there.__file__).read_text(), about]
        words = [*as_owner(self._config), *program]
        return words if self._config.ssh.connection == "local" else [shlex.join(words)]


def _environment() -> dict[str, str]:
    return {key: os.environ[key] for key in KEPT if key in os.environ}
