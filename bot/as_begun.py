"""The settings with which an operation has begun: with them it goes on after the config was edited.

Whoever takes it up again must come to the same steps as before, and which there are depends on
balancers, batches and policies. Only types and its environment are kept: how hosts, AWS and the
database are reached is what the file says now, and who may do what is never kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from bot.config import Config, Environment, HostType
from bot.operations import Operation
from bot.store import Store

log = logging.getLogger(__name__)
KIND = "config"  # of the notes

T = TypeVar("T")


class AsBegun(Generic[T]):
    """Gives what is made of a config: mostly `now`, which is made of the one that is there now."""

    def __init__(self, store: Store, config: Config, now: T, make: Callable[[Config], T]) -> None:
        self._store, self._config, self._now, self._make = store, config, now, make

    def of(self, operation: Operation) -> T:
        """Return it for an operation; what it begins with is kept before its first step."""
        if not (operation.exclusive or operation.parent):  # what only looks may look again
            return self._now
        before = self._store.note(KIND, operation.id)
        mine = kept(self._config, operation.environment)
        if not before:
            self._store.keep_note(KIND, operation.id, mine)
        if before in ({}, mine):
            return self._now
        try:
            return self._make(laid_over(self._config, before))
        except ValidationError:  # another version of Packlead kept it
            log.warning("#%s goes on with the config of now", operation.number)
            return self._now


def kept(config: Config, environment: str) -> dict[str, Any]:
    """Return what is kept of a config, as JSON."""
    mine = {environment} & {*config.environments}
    return {
        "types": {name: type.model_dump(mode="json") for name, type in config.types.items()},
        "environments": {name: config.environments[name].model_dump(mode="json") for name in mine},
    }


def laid_over(config: Config, kept: dict[str, Any]) -> Config:
    """Return a config with what was kept; that both fit together is not looked at again."""
    types = {name: HostType.model_validate(row) for name, row in kept["types"].items()}
    mine = {name: Environment.model_validate(row) for name, row in kept["environments"].items()}
    update = {"types": types, "environments": {**config.environments, **mine}}
    return config.model_copy(update=update)
