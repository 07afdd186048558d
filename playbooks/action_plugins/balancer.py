"""Takes a host out of its balancer and puts it back, from the controller's own process.

    balancer: state=left                     not sent to any more, and that was seen
    balancer: state=joined say="serves ..."  sent to again, and healthy
    balancer: state=seen                     who of the play is not sent to, as `out`

Nothing runs on the host; the bot's own AWS adapter is asked. It is imported with this file, once
and before Ansible forks, so that every host's worker shares it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3  # noqa: F401 - the adapter imports it when it first asks, which is after the fork
from ansible.plugins.action import ActionBase

try:
    from bot.adapters.aws.balancers import Balancers
except ImportError:  # run by hand from a checkout
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from bot.adapters.aws.balancers import Balancers

from bot.detached import attended
from bot.errors import BotError, Failed


class ActionModule(ActionBase):  # type: ignore[misc]
    """What of the host matters: packlead_balancer, instance_id and its type's patience."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(
        self,
        tmp: Any = None,  # noqa: ARG002 - part of the signature, and of no use for years
        task_vars: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        host, given = task_vars or {}, self._task.args
        if self._task.check_mode:
            return {"skipped": True, "msg": "a balancer cannot be left or joined without doing it"}
        if not attended(os.environ):
            # A host would refuse its step; a balancer does whatever it is told.
            text = "nobody looks after this playbook any more: another worker may have taken over"
            return {"failed": True, "msg": text}
        try:
            if given["state"] == "seen":
                return see(host)
            if given["state"] == "joined":
                return join(host, str(given.get("say", "")), given.get("well"), given.get("since"))
            if given.get("roll"):
                refuse_to_roll_on(host)
            return leave(host)
        except BotError as error:
            return {"failed": True, "msg": error.text, "output": error.hint}


def leave(host: dict[str, Any]) -> dict[str, Any]:
    """Return when the host's balancer has been seen to send it nothing new."""
    aws, balancer = found(host)
    begun = time.monotonic()
    aws.leave(balancer, host["instance_id"], host["inventory_hostname"])
    aws.wait_drained(
        balancer,
        host["instance_id"],
        timeout=float(host["packlead_drain_timeout"]) + 30,
        settle=float(host["packlead_settle"]),
        poll=0.1,
        host=host["inventory_hostname"],
    )
    took = time.monotonic() - begun
    return {
        "changed": True,
        "since": begun,
        "output": f"{balancer.name} sends nothing more, after {took:.1f} s",
    }


def refuse_to_roll_on(host: dict[str, Any]) -> None:
    """Ansible goes on to the next batch when a part of one could not be reached: we do not."""
    gone = [h for h in host["ansible_play_hosts_all"] if h not in host["ansible_play_hosts"]]
    if gone:
        raise Failed(f"rolling on to {host['inventory_hostname']}: lost {', '.join(gone)} before")


def join(host: dict[str, Any], say: str, well: Any, since: Any) -> dict[str, Any]:
    """Return when the host's balancer sends to it again and finds it healthy."""
    aws, balancer = found(host)
    begun = time.monotonic()
    aws.join(balancer, host["instance_id"], host["inventory_hostname"])
    aws.wait_healthy(
        balancer,
        host["instance_id"],
        timeout=float(host["packlead_health_timeout"]) + 60,
        poll=0.1,
        host=host["inventory_hostname"],
    )
    now = time.monotonic()
    away = f"; it was out of {balancer.name} for {now - float(since):.1f} s" if since else ""
    return {
        "changed": True,
        "packlead_say": f"{say}{away}" if say else "",
        "packlead_ok": well is None or bool(well),
        "output": f"healthy in {balancer.name} after {now - begun:.1f} s",
    }


def see(host: dict[str, Any]) -> dict[str, Any]:
    """Return which hosts of the play their balancers send nothing to, for whatever reason.

    Each balancer is asked once, however many hosts stand behind it.
    """
    well: dict[str, set[str]] = {}
    out = []
    for name in host["ansible_play_hosts_all"]:
        one = host["hostvars"][name]
        key = str(one["packlead_balancer"])
        if key not in well:
            aws, balancer = found(one)
            well[key] = {t.instance for t in aws.targets(balancer) if t.state == "healthy"}
        if one["instance_id"] not in well[key]:
            out.append(name)
    return {"out": out, "output": f"out: {', '.join(out)}" if out else "all are sent to"}


def found(host: dict[str, Any]) -> tuple[Balancers, Any]:
    aws = Balancers(SimpleNamespace(aws=SimpleNamespace(region=host["packlead_region"])))
    named = host["packlead_balancer"]
    return aws, aws.balancer_named(named["kind"], named["name"])
