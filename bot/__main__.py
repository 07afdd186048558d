"""packlead: the only place where everything meets.

packlead [up]                        everything in one process
packlead web | worker | clock        one part each, as in the Procfile
packlead run "deploy prod master"    say one line, here in the terminal
packlead shell prod                  the application's shell, in this terminal
packlead audit verify | export       who did what, and that nobody changed it since
packlead check [web|worker|clock]    what would stop a start, all of it at once
packlead manifest                    the Slack app's manifest, as JSON
packlead token prod master           a token with which POST /deploys takes one deploy
packlead number-from 313             the next operation's number, where the database is a new one
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from bot import masking
from bot.argv import command_line
from bot.command import find
from bot.database import WAIT
from bot.dispatcher import Dispatcher
from bot.errors import BotError, Misconfigured
from bot.house import House
from bot.store import Store

if TYPE_CHECKING:
    from bot.engine import Engine

PATIENCE = 3600.0  # seconds that a worker waits for a database that is away
# Seconds that Slack's answer waits for another writer. With those in the lane before it (TOO_LATE)
# it is less than the three that Slack waits: what Slack calls failed must not happen afterwards.
HURRY = 0.8


def main(argv: list[str] | None = None) -> int:
    """Do what the command line says; returns the exit status."""
    arguments = command_line(__doc__ or "").parse_args(argv)
    os.umask(0o077)  # whoever made the data folder: what is written there is ours alone
    try:
        return VERBS[arguments.verb](House(), arguments)
    except BotError as error:
        print(f"packlead: {error}", file=sys.stderr)
        return 1


def up(house: House, _arguments: argparse.Namespace) -> int:
    """Everything in one process."""
    return _stay(house, web=True, worker=True, clock=True)


def web(house: House, _arguments: argparse.Namespace) -> int:
    return _stay(house, web=True)


def worker(house: House, _arguments: argparse.Namespace) -> int:
    return _stay(house, worker=True)


def clock(house: House, _arguments: argparse.Namespace) -> int:
    return _stay(house, clock=True)


def run(house: House, arguments: argparse.Namespace) -> int:
    """Say one line; where no worker lives on this database, this process works on it."""
    from bot.fronts import terminal

    text = arguments.line[0] if len(arguments.line) == 1 else shlex.join(arguments.line)
    return _beside(house, partial(terminal.run, text))


def shell(house: House, arguments: argparse.Namespace) -> int:
    """Open the application's shell of an environment in this terminal."""
    from bot.adapters.remote import Remote
    from bot.fronts import terminal_shell

    words = Remote(house.config, house.data / "remote").terminal
    hold = partial(terminal_shell.run, arguments.environment, arguments.reason, words)
    return _beside(house, hold)


def check(house: House, arguments: argparse.Namespace) -> int:
    """Say all that would stop a start, of everything or of one part."""
    from bot import alive, checks, schema
    from bot.adapters.aws.fleet import Aws
    from bot.adapters.git import Git
    from bot.fronts import serving, slack_check
    from bot.fronts.http import address

    config, part = house.config, arguments.part
    aws = Aws(config)
    git = Git(config.app.repository, house.data / "repository.git", seconds=20)

    def database() -> str:
        store = house.store()
        try:
            if part in ("", "worker") and not schema.may_have_another(store.engine):
                raise Misconfigured(
                    "the engine wants a schema of its own there, dbos, and may not create it",
                    "grant CREATE on the database to its role, easiest its owner",
                )
        finally:
            store.close()
        return masking.mask(house.url) if "@" not in house.url else "it opens"

    def environment(name: str) -> str:
        fleet = aws.fleet(name)
        for type in config.environments[name].balancers:
            aws.balancer(name, type)
        return ", ".join(f"{len(fleet.of(t))} {t}" for t in fleet.types()) or "no instances yet"

    def schedule() -> str:
        house.dispatcher(house.store())
        return f"{len(config.schedule)} lines"

    def pages() -> str:
        store = house.store()
        serving.routes(config, store, house.dispatcher(store), house.environ)
        store.close()
        host, port = address(house.environ)
        return f"on {host}:{port}, " + (
            config.url or "without links to them: PACKLEAD_URL is empty"
        )

    probes: dict[str, Callable[[], str]] = {
        "config": lambda: f"{len(config.environments)} environments",
        "database": database,
        "workers": lambda: alive.told(house.store(), house.data, config.lease),
        "schedule": schedule,
    }
    if part in ("", "web"):
        probes["pages"] = pages
        if config.slack or house.environ.get("SLACK_BOT_TOKEN"):  # without, the rest is served
            probes["Slack"] = lambda: slack_check.probe(config, house.environ)
    asking = part != "web" and any(e.ci != "none" for e in config.environments.values())
    if part != "clock" and (asking or house.environ.get("GITHUB_TOKEN")):
        probes["GitHub"] = house.github().probe
    if part in ("", "worker"):
        probes["repository"] = lambda: f"it has {len(git.refs())} branches and tags"
        for name in config.environments:
            probes[f"AWS, {name}"] = partial(environment, name)
    lines, well = checks.told(probes)
    print("\n".join(lines))
    return 0 if well else 1


def manifest(house: House, arguments: argparse.Namespace) -> int:
    """Print the manifest with which the Slack app is made."""
    import commands
    from bot.manifest import manifest as made

    print(json.dumps(made(find(commands), house.config, url=arguments.url), indent=2))
    return 0


def audit(house: House, arguments: argparse.Namespace) -> int:
    """Check the audit, or print it as lines of JSON."""
    kept = house.store().audit
    if arguments.what == "export":
        for row in kept.rows(arguments.after):
            print(row.text())
        return 0
    wrong, seen = kept.verify(arguments.after), kept.witness.seen()
    for line in wrong:
        print(line)
    if seen:
        print(f"this machine has written up to row {seen.number}: {kept.witness.file}")
    else:
        print("this machine has written none: whether the newest rows are gone is seen elsewhere")
    return 1 if wrong else 0


def token(house: House, arguments: argparse.Namespace) -> int:
    """Print a token for one deploy through POST /deploys."""
    from bot.command import read_duration
    from bot.fronts import deploys

    seconds = read_duration(arguments.for_, house.config)
    given = (arguments.environment, arguments.ref, arguments.person, seconds)
    print(deploys.made(house.config, house.environ, *given))
    return 0


def number(house: House, arguments: argparse.Namespace) -> int:
    """Go on with a number that the hosts, who remember another database, do not refuse."""
    from bot.numbers import number_from

    number_from(house.store(), arguments.first)
    print(f"the next operation is #{arguments.first}")
    return 0


def _beside(house: House, front: Callable[[Dispatcher, Store, Callable[[], bool]], int]) -> int:
    """Do something in this terminal; where no worker lives on this database, be one meanwhile."""
    from bot.alive import worker_lives

    masking.start_logging("ERROR")
    store = house.store(patience=60.0)
    dispatcher = house.dispatcher(store)
    engines: list[Engine] = []

    def work() -> bool:
        if not worker_lives(store, house.data, house.config.lease):
            engines.append(house.engine(store, dispatcher))
            engines[0].start()
        return bool(engines)

    try:
        return front(dispatcher, store, work)
    finally:
        for engine in engines:
            engine.stop()


def _stay(house: House, web: bool = False, worker: bool = False, clock: bool = False) -> int:
    level, form = (house.environ.get(name, "") for name in ("LOG_LEVEL", "LOG_FORMAT"))
    masking.start_logging(level or "INFO", form)
    store = house.store(PATIENCE if worker and not web else 0.0, HURRY if web else WAIT)
    dispatcher = house.dispatcher(store)
    stopping, broken = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    ends: list[Callable[[], object]] = []
    if worker:
        # In a thread: it waits for the last worker of this machine, Slack is answered meanwhile.
        thread = threading.Thread(target=_work, args=(house, stopping, broken, ends), daemon=True)
        thread.start()
    if clock:
        from bot.fronts.clock import Clock

        patient = house.store(PATIENCE)  # a night is not left out because the database was away
        ticking = Clock(house.config, patient, house.dispatcher(patient))
        ticking.start()
        ends += [ticking.stop, patient.close]
    for part in (house.teller(store), house.missed(store)) if web else ():
        if part:
            part.start()
            ends.append(part.stop)
    if web:
        asyncio.run(_serve(house, store, dispatcher, stopping))
    stopping.wait()
    for end in ends:
        end()
    store.close()
    # DBOS keeps threads that wait in a step: what they wait for goes on, and is found again.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if broken.is_set() else 0)


def _work(
    house: House,
    stopping: threading.Event,
    broken: threading.Event,
    ends: list[Callable[[], object]],
) -> None:
    try:
        store = house.store(PATIENCE)
        engine = house.engine(store, house.dispatcher(store))
        engine.start()
        ends.append(engine.stop)
    except Exception:
        masking.log.exception("the worker does not start")
        broken.set()
        stopping.set()


async def _serve(
    house: House, store: Store, dispatcher: Dispatcher, stopping: threading.Event
) -> None:
    from bot.fronts import serving

    stop = asyncio.Event()

    async def watch() -> None:
        while not stopping.is_set():
            await asyncio.sleep(0.1)
        stop.set()

    watching = asyncio.create_task(watch())
    await serving.serve(
        house.config,
        store,
        dispatcher,
        house.environ,
        stop,
        lambda: print("packlead is ready", flush=True),
        lambda url: masking.log.info("listening on %s", url),
    )
    await watching


VERBS: dict[str, Callable[[House, argparse.Namespace], int]] = {
    "up": up,
    "web": web,
    "worker": worker,
    "clock": clock,
    "run": run,
    "shell": shell,
    "audit": audit,
    "check": check,
    "manifest": manifest,
    "token": token,
    "number-from": number,
}

if __name__ == "__main__":
    sys.exit(main())
