"""The application's keys, in the store that the config names. Values come sealed, and stay inside.

No verb of a command takes or answers a value: what is put was sealed under the operation's id, or
is generated here. `value` is for the controller of a playbook, which hands it to the hosts.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from bot.adapters.aws.manager import Manager
from bot.adapters.aws.parameters import Parameters
from bot.adapters.aws.records import Secret
from bot.config import Config, secrets_path
from bot.errors import Failed, Refused
from bot.key import derived

LETTERS = 8  # of a fingerprint
RANDOM = 32  # bytes of a generated value


class Secrets:
    """Keys by environment and name."""

    def __init__(
        self,
        config: Config,
        key: bytes,
        unseal: Callable[[str], str | None],
        forget: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._config, self._key = config, key
        self._unseal, self._forget = unseal, forget
        self._store = store_of(config.secrets.store, config)

    def keys(self, environment: str) -> tuple[Secret, ...]:
        """Return the current version of every key of an environment, by name."""
        found = self._store.keys(secrets_path(self._config, environment))
        return tuple(sorted(found, key=lambda made: made.name))

    def versions(self, environment: str, name: str) -> tuple[Secret, ...]:
        """Return the versions of a key that are kept, oldest first."""
        return self._store.versions(secrets_path(self._config, environment), name)

    def put(
        self, environment: str, name: str, operation: str, by: str, generate: bool = False
    ) -> Secret:
        """Put the value that was sealed for an operation, or a new random one; once for each."""
        path, mark = secrets_path(self._config, environment), _mark(operation)
        for made in self._store.versions(path, name):
            if made.operation == mark:
                self._forget(operation)
                return made
        value = secrets.token_urlsafe(RANDOM) if generate else self._unseal(operation)
        if value is None:
            raise Failed(
                f"the value of {name} is not kept any more: it waited for more than a day",
                "say it again; nothing was changed",
            )
        if (size := len(value.encode())) > self._store.longest:
            raise Refused(
                f"the value of {name} has {size} bytes, the store takes {self._store.longest}"
            )
        told = Secret(name, 0, 0.0, by, self.fingerprint(value), 0, mark)
        made = self._store.add(path, name, value, told)
        self._forget(operation)
        return made

    def again(self, environment: str, name: str, version: int, operation: str, by: str) -> Secret:
        """Put the value of an earlier version as a new one; once for each operation."""
        path, mark = secrets_path(self._config, environment), _mark(operation)
        earlier = {made.version: made for made in self._store.versions(path, name)}
        for made in earlier.values():
            if made.operation == mark:
                return made
        root = earlier[version].root if version in earlier else version
        value = self._store.value(path, name, version)
        told = Secret(name, 0, 0.0, by, self.fingerprint(value), root, mark)
        return self._store.add(path, name, value, told)

    def remove(self, environment: str, name: str) -> None:
        """Take a key away, with all its versions."""
        self._store.remove(secrets_path(self._config, environment), name)

    def value(self, environment: str, name: str, version: int) -> str:
        """Return a value, for the hosts."""
        return self._store.value(secrets_path(self._config, environment), name, version)

    def fingerprint(self, value: str) -> str:
        """Return a few letters that tell two values apart, and nothing else of them."""
        key = derived(self._key, "fingerprint")
        return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:LETTERS]


def store_of(name: str, config: object) -> Parameters | Manager:
    """Return the store by its name in the config; of the config it needs where AWS is."""
    return Manager(config) if name == "secretsmanager" else Parameters(config)  # type: ignore[arg-type]


def _mark(operation: str) -> str:
    return hashlib.sha256(operation.encode()).hexdigest()[:32]
