"""The inventory that Ansible reads: a pure function from the config and the hosts.

Both readers of it, `inventory/ec2.py` and the bot's own runs, give a play the same names. Whatever
comes from AWS (anybody with ec2:CreateTags writes it) is wrapped: Ansible would run a bare value
that holds Jinja on the machine of the bot. The config is its owner's, who may use Jinja in it.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from bot.config import Config, HostType
from bot.errors import Refused

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


class Host(Protocol):
    """What of an instance an inventory holds."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def address(self) -> str: ...


def inventory(config: Config, environment: str, hosts: Iterable[Host]) -> dict[str, Any]:
    """Return the inventory of an environment, in the form that a dynamic inventory prints.

    Hosts are known by their Name; they are grouped by type (`web`) and by name without its number
    (`prodweb`). A type that the config does not know is left out: Packlead does not touch it.
    """
    mine = [host for host in hosts if host.type in config.types]
    _refuse(environment, mine)
    names: dict[str, list[str]] = {type: [] for type in config.types}
    taken = {*names, "all", "ungrouped", "_meta", "localhost"}
    for host in mine:
        names[host.type].append(host.name)
        stem = host.name.rstrip("0123456789")
        if stem not in taken and stem != host.name:
            names.setdefault(stem, []).append(host.name)
    groups: dict[str, Any] = {group: {"hosts": members} for group, members in names.items()}
    for type, settings in config.types.items():
        groups[type]["vars"] = type_vars(config, environment, type, settings)
    return {
        **groups,
        "all": {"children": [*groups], "vars": all_vars(config, environment)},
        "_meta": {"hostvars": {host.name: host_vars(host) for host in mine}},
    }


def host_vars(host: Host) -> dict[str, Any]:
    """Return the variables of one host: where it is, which instance, which type."""
    return {
        "ansible_host": unsafe(host.address),
        "instance_id": unsafe(host.id),
        "packlead_type": unsafe(host.type),
    }


def type_vars(config: Config, environment: str, type: str, settings: HostType) -> dict[str, Any]:
    """Return the variables of all hosts of a type in an environment."""
    known = config.environments.get(environment)
    balancer = known.balancers.get(type) if known else None
    named: Mapping[str, str] = {}
    if balancer:
        kind = "target_group" if balancer.target_group else "classic"
        named = {"kind": kind, "name": balancer.target_group or balancer.classic}
    return {
        "packlead_services": [*settings.services],
        "packlead_service_manager": settings.service_manager,
        "packlead_port": settings.port,
        "packlead_health": settings.health,
        "packlead_health_timeout": settings.health_timeout,
        "packlead_drain_timeout": settings.drain_timeout,
        "packlead_settle": settings.settle,
        "packlead_batch": settings.batch,
        "packlead_balancer": named,
    }


def all_vars(config: Config, environment: str) -> dict[str, Any]:
    """Return the variables of every host; the owner's own come last and win."""
    app, ssh = config.app, config.ssh
    given: dict[str, Any] = {
        "ansible_connection": "local" if ssh.connection == "local" else "",
        "ansible_port": ssh.port,
        "ansible_user": ssh.user,
        "ansible_ssh_private_key_file": ssh.key,
        "ansible_ssh_common_args": _ssh_args(ssh.known_hosts),
        "packlead_environment": environment,
        "packlead_region": config.aws.region,
        "app_name": app.name,
        "app_root": app.root.replace("{name}", "{{ inventory_hostname }}"),
        "app_user": app.user or ssh.user,
        "app_repository": app.repository,
        "app_python": app.python,
        "app_requirements": app.requirements,
        "app_pip_options": [*app.pip_options],
        "app_migrate": [*app.migrate],
        "app_static": [*app.static],
        "app_keep_releases": app.keep_releases,
    }
    # Ansible takes an empty user or key for one that is set.
    kept = {k: v for k, v in given.items() if v != "" or not k.startswith("ansible_")}
    return kept | config.ansible.vars


def unsafe(value: str) -> dict[str, str]:
    """Return a value that Ansible will never take for a template."""
    return {"__ansible_unsafe": value}


def _ssh_args(known_hosts: str) -> str:
    if not known_hosts:
        return ""
    file = f'"{known_hosts}"' if " " in known_hosts else known_hosts  # ssh splits it once more
    known = shlex.quote(f"UserKnownHostsFile={file}")
    return f"-o {known} -o StrictHostKeyChecking=yes"


def _refuse(environment: str, hosts: list[Any]) -> None:
    """Names become hosts, and two instances of one name would become one host."""
    odd = next((h for h in hosts if not SAFE_NAME.fullmatch(h.name)), None)
    if odd:
        raise Refused(
            f"listing the hosts of {environment}: {odd.id} has the Name {odd.name!r}, "
            "which cannot be a host's name",
            "use letters, digits, dots and dashes in its Name tag",
        )
    often = [name for name, count in Counter(h.name for h in hosts).items() if count > 1]
    if often:
        ids = ", ".join(h.id for h in hosts if h.name == often[0])
        raise Refused(
            f"listing the hosts of {environment}: {ids} all have the Name {often[0]}",
            "give each instance a Name of its own",
        )
