"""`ansible-playbook` as a person runs it, on the inventory and with the settings of the bot."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from bot.adapters.ansible import playbooks
from bot.adapters.ansible.place import Place, environment_of
from bot.adapters.aws.fleet import Aws
from bot.adapters.aws.records import Instance
from bot.config_file import load
from tests.bench.bot import environment
from tests.lab.lab import Lab

ENVIRONMENT = "prod"


@dataclass(frozen=True)
class Ran:
    """How one run of a playbook ended."""

    seconds: float
    output: str


class Bare:
    """Plain runs on the hosts of a lab. `strategy` is as in the config's [ansible]."""

    def __init__(
        self, lab: Lab, strategy: str = "linear", more: Mapping[str, str] | None = None
    ) -> None:
        self.lab, self.environ = lab, environment(lab) | dict(more or {})
        self.config = load(lab.config)
        settings = self.config.ansible.model_copy(update={"strategy": strategy})
        self.config = self.config.model_copy(update={"ansible": settings})
        with mock.patch.dict("os.environ", self.environ, clear=True):
            fleet = Aws(self.config).fleet(ENVIRONMENT)
        self.hosts: tuple[Instance, ...] = fleet.instances

    def run(self, playbook: Path, variables: Mapping[str, Any], **more: str) -> Ran:
        """Run a playbook to its end; raises RuntimeError where it does not end well."""
        place = Place(self.lab.folder / "bare")
        with mock.patch.dict("os.environ", self.environ, clear=True):
            place.fill(self.config, ENVIRONMENT, self.hosts, variables)
            env = environment_of(self.config, playbooks(), place) | more
        # Every run makes its own connections, as the bot's do.
        words = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(place.hosts)]
        words += ["-e", f"@{place.variables}", str(playbook)]
        begun = time.perf_counter()
        try:
            ran = subprocess.run(
                words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=900,
            )  # fmt: skip
            seconds = time.perf_counter() - begun
            self._hang_up(place)
        finally:
            place.remove()
        if ran.returncode:
            raise RuntimeError(
                f"{playbook.name} ended with {ran.returncode}:\n{ran.stdout[-3000:]}"
            )
        return Ran(seconds, ran.stdout)

    def _hang_up(self, place: Place) -> None:
        """End the connections that ssh keeps for a minute."""
        for socket in (place.path / "ssh").glob("*"):
            subprocess.run(
                ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "nobody"],
                capture_output=True, timeout=10, check=False,
            )  # fmt: skip
