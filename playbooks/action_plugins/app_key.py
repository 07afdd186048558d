"""Brings a key of the application to a host, from the store and through the controller's memory.

    app_key: step=look    whether the host has it already; registers `stands`
    app_key: step=give    the host's env file gets it, the services restart with it and are well
    app_key: step=tell    what `give` said, which no_log has kept to itself

The value is asked of AWS by name and version, and goes to the host over the pipe of ssh: it is in
no variable, no argument of a program and no file but the host's own. What happens there is a step
of library/release.py, under its lock and its order of operations.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3  # noqa: F401 - the adapter imports it when it first asks, which is after the fork
from ansible.plugins.action import ActionBase

try:
    from bot.adapters.aws.parameters import Parameters
except ImportError:  # run by hand from a checkout
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from bot.adapters.aws.parameters import Parameters

from bot.adapters.aws.manager import Manager
from bot.errors import BotError

STORES = {"ssm": Parameters, "secretsmanager": Manager}
STEPS = {"look": "look_at_key", "give": "key"}


class ActionModule(ActionBase):  # type: ignore[misc]
    """What of the host matters: packlead_key, packlead_version, packlead_secrets."""

    TRANSFERS_FILES = False

    def run(
        self,
        tmp: Any = None,  # noqa: ARG002 - part of the signature, and of no use for years
        task_vars: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        host, given = task_vars or {}, dict(self._task.args)
        step = given.pop("step")
        if step == "tell":
            return told(given["of"], given)
        if self._task.check_mode:
            return {"skipped": True, "msg": "a key cannot be given without giving it"}
        if not self._is_pipelining_enabled("new"):
            return {"failed": True, "msg": "pipelining is off: the value would lie in a file"}
        try:
            value = fetched(host)
        except BotError as error:
            return {"trouble": error.text, "output": error.hint, "stands": False}
        arguments = {**given, "step": STEPS[step], "key": host["packlead_key"], "value": value}
        answer = self._execute_module("release", module_args=arguments, task_vars=host)
        if answer.get("failed"):
            text = str(answer.get("msg") or "the host gave no answer")
            return {"trouble": text, "output": answer.get("output", ""), "stands": False}
        kept = ("unreachable", "msg", "changed", "stands", "begun", "said", "output")
        return {key: answer[key] for key in kept if key in answer}


def fetched(host: dict[str, Any]) -> str | None:
    """Return the value of the version that all hosts come to; None where the key goes away."""
    version, where = int(host["packlead_version"]), host["packlead_secrets"]
    if not version:
        return None
    region = SimpleNamespace(aws=SimpleNamespace(region=host["packlead_region"]))
    store = STORES[where["store"]](region)
    return str(store.value(where["path"], host["packlead_key"], version))


def told(result: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return what a host said, as a result of its own that may be read."""
    output = str(result.get("output", ""))
    if trouble := result.get("trouble"):
        return {"failed": True, "msg": trouble, "output": output}
    say = str(given.get("say") or "")
    return {"changed": True, "output": output, "packlead_say": say, "packlead_ok": True}
