"""The settings with which an operation has begun: with them it goes on after the config was edited.

Whoever takes it up again must come to the same steps as before, and which there are depends on
balancers, batches, policies, readers of keys, authors of commits. How hosts, AWS and the database
are reached is what the file says now; so is who may do what (`Job.people`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from bot.config import App, Config, Environment, HostType, Images, Key, Person, Secrets
from bot.operations import Operation
from bot.store import Store

log = logging.getLogger(__name__)
KIND = "config"  # of the notes
KEPT: dict[str, TypeAdapter[Any]] = {
    "app": TypeAdapter(App),
    "types": TypeAdapter(dict[str, HostType]),
    "environments": TypeAdapter(dict[str, Environment]),
    "people": TypeAdapter(dict[str, Person]),
    "keys": TypeAdapter(dict[str, Key]),
    "images": TypeAdapter(Images),
    "secrets": TypeAdapter(Secrets),
}

T = TypeVar("T")


class AsBegun(Generic[T]):
    """Gives what is made of a config: mostly `now`, which is made of the one that is there now."""

    def __init__(self, store: Store, config: Config, now: T, make: Callable[[Config], T]) -> None:
        self._store, self._config, self._now, self._make = store, config, now, make

    def of(self, operation: Operation) -> T:
        """Return it for an operation; what it begins with is kept before its first step.

        The parts of an operation go by what the whole has begun with.
        """
        mine = kept(self._config, operation.environment)
        whole = self._store.note(KIND, operation.parent) if operation.parent else {}
        before = self._store.first_note(KIND, operation.id, whole or mine)
        if before == mine:
            return self._now
        try:
            return self._make(laid_over(self._config, before))
        except ValidationError:  # another version of Packlead kept it
            log.warning("#%s goes on with the config of now", operation.number)
            return self._now


def kept(config: Config, environment: str) -> dict[str, Any]:
    """Return what is kept of a config, as JSON; of the environments only its own."""
    found = {
        name: how.dump_python(getattr(config, name), mode="json") for name, how in KEPT.items()
    }
    mine = {environment: found["environments"].get(environment)}
    return found | {"environments": {name: row for name, row in mine.items() if row}}


def laid_over(config: Config, kept: dict[str, Any]) -> Config:
    """Return a config with what was kept; that all of it fits together is not looked at again."""
    update = {name: KEPT[name].validate_python(row) for name, row in kept.items() if name in KEPT}
    update["environments"] = {**config.environments, **update.get("environments", {})}
    return config.model_copy(update=update)
