"""The private folder of one run, in memory where it is safe there: what Ansible reads is in it.

Values go in as files that only we can read: on no command line, and on no disk. Each is wrapped, so
that Ansible takes none for a template. The run's environment holds what Ansible and AWS need, and
none of the bot's other secrets, since ansible-runner hands on (and writes down) all that it has.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.adapters.aws.records import Instance
from bot.config import Config
from bot.errors import Misconfigured
from bot.inventory import inventory

MEMORY = Path("/dev/shm")  # noqa: S108 - see _base
PEOPLE = 1000  # whose files in memory systemd's logind takes away (RemoveIPC) when they log out
KEPT = ("HOME", "USER", "LOGNAME", "PATH", "TZ", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


class Place:
    """The private folder that belongs to the folder of a run; the name of one gives the other."""

    def __init__(self, run: Path) -> None:
        self._run = run
        name = hashlib.sha256(str(run).encode()).hexdigest()[:12]
        self.path = _base(run) / name
        self.hosts, self.variables = self.path / "hosts.json", self.path / "variables.json"

    def fill(
        self, config: Config, environment: str, hosts: Sequence[Instance], given: Mapping[str, Any]
    ) -> None:
        self.remove()
        self.path.mkdir(mode=0o700, parents=True)
        _write(self.hosts, static(inventory(config, environment, hosts)))
        _write(self.variables, {key: wrapped(value) for key, value in given.items()})

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def static(dynamic: dict[str, Any]) -> dict[str, Any]:
    """Return the inventory that a dynamic one prints, in the form of a static file."""
    every, hostvars = dynamic["all"], dynamic["_meta"]["hostvars"]
    groups = {
        name: {**dynamic[name], "hosts": {host: {} for host in dynamic[name]["hosts"]}}
        for name in every["children"]
    }
    return {"all": {"vars": every["vars"], "hosts": hostvars, "children": groups}}


def wrapped(value: Any) -> Any:
    """Wrap every text in a value, however deep, so that it is never taken for a template."""
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, Mapping):
        return {key: wrapped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [wrapped(item) for item in value]
    return value


def argv(
    child: str, config: Config, playbook: Path, place: Place, plays: Sequence[str] = ()
) -> list[str]:
    """Return the command line of the process that runs Ansible.

    A play is known by its tag, which is its name in one word.
    """
    forks = str(config.ansible.forks)
    files = [str(f) for f in (playbook, place.path, place.hosts, place.variables)]
    tags = [",".join(play.replace(" ", "_") for play in plays)] if plays else []
    return [sys.executable, "-P", child, *files, forks, *tags]


def environment_of(config: Config, playbooks: Path, place: Place) -> dict[str, str]:
    """Return the whole environment of a run."""
    home = str(Path(__file__).parents[3])  # so that our plugins find `bot`
    env = {key: os.environ[key] for key in (*KEPT, *PROXIES) if key in os.environ}
    env |= {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
    programs = str(Path(sys.executable).parent)
    return env | {
        "PATH": os.pathsep.join([programs, env.get("PATH", os.defpath)]),
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(p for p in (home, os.environ.get("PYTHONPATH", "")) if p),
        "ANSIBLE_CONFIG": str(playbooks / "ansible.cfg"),
        "ANSIBLE_FORKS": str(config.ansible.forks),
        "ANSIBLE_HOME": str(place.path / "home"),
        "ANSIBLE_LOCAL_TEMP": str(place.path / "tmp"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(place.path / "ssh"),
        "ANSIBLE_HOST_KEY_CHECKING": "True",  # ansible-runner switches it off where nobody says
        "ANSIBLE_INVENTORY_ENABLED": "ansible.builtin.yaml",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
        **_strategy(config.ansible.strategy),
    }


def _strategy(name: str) -> dict[str, str]:
    if name == "linear":
        return {}
    found = importlib.util.find_spec("ansible_mitogen")
    if found is None or not found.submodule_search_locations:
        raise Misconfigured(
            f"ansible.strategy is {name}, but Mitogen is not installed", "pip install mitogen"
        )
    plugins = Path(found.submodule_search_locations[0]) / "plugins" / "strategy"
    return {"ANSIBLE_STRATEGY": name, "ANSIBLE_STRATEGY_PLUGINS": str(plugins)}


def _base(run: Path) -> Path:
    """Return the folder of our private folders: in memory, if nobody else can have a hand in it.

    Its path is short, since ssh's sockets are below it.
    """
    memory = [MEMORY] if os.getuid() < PEOPLE else []
    for place in (*memory, Path(tempfile.gettempdir())):
        ours = place / f"packlead-{os.getuid()}"
        try:
            ours.mkdir(mode=0o700, exist_ok=True)
            stat = ours.lstat()
        except OSError:
            continue
        if stat.st_uid == os.getuid() and stat.st_mode & 0o170777 == 0o040700:
            return ours
    return run / "private"


def _write(path: Path, data: Any) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(data, file)
