"""The parts of a Packlead that runs: of its config, its environment variables and its database.

With the verbs of the command line (`bot/__main__.py`) the only place that knows both sides.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from bot import key, masking
from bot.command import find
from bot.config import Config
from bot.config_file import load
from bot.database import WAIT
from bot.dispatcher import Dispatcher
from bot.errors import Misconfigured
from bot.people import unknown
from bot.store import Operation, Store

if TYPE_CHECKING:
    from bot.adapters.github import GitHub, NoGitHub
    from bot.engine import Engine
    from bot.fronts.github_teller import Teller
    from bot.fronts.missed import Missed


class House:
    """The parts, each made when it is first asked for: nobody loads what they do not use."""

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        self.environ = dict(os.environ) if environ is None else environ
        self.config: Config = load(self.environ.get("PACKLEAD_CONFIG"))
        self.data = Path(self.config.data)
        self.url = self.environ.get("DATABASE_URL") or f"sqlite:///{self.data / 'packlead.db'}"

    @cached_property
    def key(self) -> bytes:
        """The key of the house."""
        return key.key(self.data, self.environ, self.url.startswith("sqlite"))

    def store(self, patience: float = 0.0, wait: float = WAIT) -> Store:
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Store(self.url, patience, key=self.key, wait=wait, data=self.data)
        except (OSError, SQLAlchemyError) as error:
            cause = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise Misconfigured(
                f"opening the database: {masking.mask(cause)}",
                "it is DATABASE_URL, or a file below `data` of the config",
            ) from None

    def dispatcher(self, store: Store) -> Dispatcher:
        import commands

        known = find(commands)
        dispatcher = Dispatcher(self.config, known, store)
        wrong = unknown(self.config, (command.permission for command in known.values()))
        if self.config.schedule:
            from bot.fronts import clock

            wrong += clock.wrong(self.config, dispatcher)
        if any(e.freeze for e in self.config.environments.values()):
            from bot.adapters import calendar

            wrong += calendar.wrong(self.config)
            dispatcher.windows = calendar.Calendar(self.config).coming
        if wrong:
            raise Misconfigured("\n".join(wrong), "correct it, then: packlead check")
        return dispatcher

    def github(self) -> GitHub | NoGitHub:
        from bot.adapters.github import connect

        told = self.config.github
        return connect(self.environ, *((told.repository, told.site) if told else ("",)))

    def teller(self, store: Store) -> Teller | None:
        """Return who tells GitHub of deployments; None where no token is set."""
        from bot.adapters.github import NoGitHub
        from bot.fronts.audience import Pen
        from bot.fronts.github_teller import Teller

        github = self.github()
        if isinstance(github, NoGitHub):
            return None
        url = self.config.url.rstrip("/")

        def page(operation: Operation) -> str:
            """Return the address without a pass: it opens to who has one from Slack."""
            return f"{url}/operations/{operation.number}" if url else ""

        return Teller(store, github, Pen(store, self.data, "github"), page)

    def missed(self, store: Store) -> Missed | None:
        """Return who looks for pushes of which nobody told; None where nobody is to."""
        from bot.adapters.github import NoGitHub
        from bot.fronts.missed import Missed
        from bot.fronts.pushes import Pushes

        github, told = self.github(), self.config.github
        listens = self.environ.get("GITHUB_WEBHOOK_SECRET", "").strip()
        pushed = any(e.auto for e in self.config.environments.values())
        if isinstance(github, NoGitHub) or not (told and told.look and listens and pushed):
            return None
        return Missed(self.config, store, Pushes(self.config, self.dispatcher(store)), github.head)

    def engine(self, store: Store, dispatcher: Dispatcher) -> Engine:
        from bot.adapters.ansible import Ansible
        from bot.adapters.aws.fleet import Aws
        from bot.adapters.aws.secrets import Secrets
        from bot.adapters.calendar import Calendar
        from bot.adapters.git import Git
        from bot.adapters.hosts import Hosts
        from bot.adapters.remote import Remote
        from bot.alive import UNTOUCHED
        from bot.engine import Engine
        from bot.outside import Adapters

        # Several machines: a playbook that nobody watches stops before a peer takes over.
        lease = 0.0 if store.alone else UNTOUCHED * self.config.lease

        def adapters(config: Config) -> Adapters:
            return Adapters(
                aws=Aws(config),
                git=Git(config.app.repository, self.data / "repository.git"),
                hosts=Hosts(config),
                playbooks=Ansible(config, self.data / "runs", lease),
                remote=Remote(config, self.data / "remote", lease),
                calendar=Calendar(config),
                github=self.github(),
                secrets=Secrets(config, self.key, store.sealed.open, store.sealed.forget),
            )

        return Engine(store, dispatcher, adapters, self.data, self.config.lease)
