"""Brings a key of the application to a host, from the store and through the controller's memory.

    app_key: step=look    whether the host has it already; registers `stands`
    app_key: step=give    the host's env file gets it, the services restart with it and are well
    app_key: step=all     its env file gets all of packlead_keys; nothing restarts yet
    app_key: step=tell    what `give` or `all` said, which no_log has kept to itself

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
STEPS = {"look": "look_at_key", "give": "key", "all": "keys"}


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
            brought = all_of(host) if step == "all" else one_of(host)
        except BotError as error:
            return {"trouble": error.text, "output": error.hint, "stands": False}
        arguments = {**given, "step": STEPS[step], **brought}
        answer = self._execute_module("release", module_args=arguments, task_vars=host)
        if answer.get("failed"):
            text = str(answer.get("msg") or "the host gave no answer")
            return {"trouble": text, "output": answer.get("output", ""), "stands": False}
        kept = ("unreachable", "msg", "changed", "stands", "begun", "said", "output")
        return {key: answer[key] for key in kept if key in answer}


def one_of(host: dict[str, Any]) -> dict[str, Any]:
    """Return a key with the value to which all hosts come; None where it goes away."""
    name, version = host["packlead_key"], int(host["packlead_version"])
    where = host["packlead_secrets"]
    value = store_of(host).value(where["path"], name, version) if version else None
    return {"key": name, "value": value}


def all_of(host: dict[str, Any]) -> dict[str, Any]:
    store, where = store_of(host), host["packlead_secrets"]
    named = [(str(key["name"]), int(key["version"])) for key in host["packlead_keys"]]
    return {"values": {name: store.value(where["path"], name, version) for name, version in named}}


def store_of(host: dict[str, Any]) -> Parameters | Manager:
    region = SimpleNamespace(aws=SimpleNamespace(region=host["packlead_region"]))
    return STORES[host["packlead_secrets"]["store"]](region)


def told(result: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return what a host said, as a result of its own that may be read."""
    output = str(result.get("output", ""))
    if trouble := result.get("trouble"):
        return {"failed": True, "msg": trouble, "output": output}
    say = str(given.get("say") or "")
    return {"changed": True, "output": output, "packlead_say": say, "packlead_ok": True}
