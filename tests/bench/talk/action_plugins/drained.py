"""Waits until a balancer has done with draining a host, as `ec2_elb` with `wait` does."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from ansible.plugins.action import ActionBase

from bot.adapters.aws.balancers import Balancers

PATIENCE = 400.0


class ActionModule(ActionBase):
    """Asks every second, as the module of the talk did."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        host = task_vars or {}
        aws = Balancers(SimpleNamespace(aws=SimpleNamespace(region=host["packlead_region"])))
        balancer = aws.balancer_named(**host["packlead_balancer"])
        until = time.monotonic() + PATIENCE
        while any(t.instance == host["instance_id"] for t in aws.targets(balancer)):
            if time.monotonic() > until:
                return {"failed": True, "msg": f"still drains after {PATIENCE:.0f} s"}
            time.sleep(1)
        return {"changed": False}
