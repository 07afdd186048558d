"""The lab's packlead.toml: two environments, three types of host, three people."""

from __future__ import annotations

import json
import os
import pwd
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab import history
from tests.lab.githistory import FULL, HOME

if TYPE_CHECKING:
    from tests.lab.hosts import Hosts

CHANNELS = {"prod": "C0PROD", "puppystream": "C0PUPPY"}
OPS = "C0OPS"


def write(path: Path, repository: str, environments: list[str], more: Mapping[str, Any]) -> Path:
    """Write it; `more` is laid over it, table by table."""
    path.write_text("\n".join(lines(merged(base(repository, environments, path.parent), more))))
    return path


def base(repository: str, environments: list[str], folder: Path) -> dict[str, Any]:
    web = {
        "minimum": 2,
        "batch": 1,
        "services": ["web"],
        "service_manager": "supervisor",
        "port": 8000,
        "health": "/healthz",
        "settle": 0.2,
        "health_timeout": 15,
    }
    return {
        "data": str(folder / "packlead"),
        "app": {"name": "app", "repository": repository, "root": "/srv/app"},
        "slack": {"team": "T0LAB"},
        "github": {"repository": FULL, "site": HOME, "look": 0},  # tests push without telling
        "types": {
            "web": web,
            "celery": {"minimum": 1, "services": ["celery"], "service_manager": "supervisor"},
            "manager": {"minimum": 1, "services": [], "service_manager": "supervisor"},
        },
        "environments": {
            name: {
                "channel": CHANNELS.get(name, OPS),
                "branch": "master",
                "shell": name == "prod",
                "balancers": {"web": {"target_group": f"{name}-web"}},
                "auto": "master" if name == "puppystream" else "",
            }
            for name in environments
        },
        "people": {
            "ada": {"slack": "U0ADA", "unix": pwd.getpwuid(os.getuid()).pw_name, "github": "ada"},
            "bob": {"slack": "U0BOB", "github": str(history.AUTHORS["bob"].id)},
            "eve": {"slack": "U0EVE"},
        },
        "permissions": [
            {"who": ["ada"], "may": ["*"], "on": ["*"]},
            {
                "who": ["bob"],
                "may": ["deploy", "scale", "status", "cancel"],
                "on": ["puppystream"],
            },
        ],
    }


def of_hosts(hosts: Hosts) -> dict[str, Any]:
    """What the config says about the hosts and the way to them."""
    offline = ["--no-index", "--find-links", str(hosts.wheels)]
    tables: dict[str, Any] = {
        "app": {
            "root": hosts.app_root.replace("{{ inventory_hostname }}", "{name}"),
            "python": hosts.python,
            "pip_options": offline,
        },
        "ssh": {"connection": "local"},
        "ansible": {"vars": hosts.variables},
    }
    if ssh := hosts.ssh:
        tables["ssh"] = {
            "user": ssh.user,
            "port": ssh.port,
            "key": str(ssh.key),
            "known_hosts": str(ssh.known_hosts),
        }
    return tables


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one tree of tables over another."""
    both = dict(under)
    for key, value in over.items():
        below = both.get(key)
        tables = isinstance(below, Mapping) and isinstance(value, Mapping)
        both[key] = merged(below, value) if tables else value  # type: ignore[arg-type]
    return both


def lines(table: Mapping[str, Any], name: str = "") -> Iterator[str]:
    """The table as TOML."""
    for key, value in table.items():
        if not _is_table(value):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        inner = f"{name}.{_key(key)}" if name else _key(key)
        if isinstance(value, Mapping):
            if not value or not all(map(_is_table, value.values())):
                yield from ("", f"[{inner}]")
            yield from lines(value, inner)
        elif _is_table(value):
            for row in value:
                yield from ("", f"[[{inner}]]", *lines(row, inner))


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or bool(
        isinstance(value, list) and value and isinstance(value[0], Mapping)
    )


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value)  # what these are, JSON and TOML write alike
