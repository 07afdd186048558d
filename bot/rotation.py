"""The way of a new value to every host that reads it, and the way back.

The store gets a new version first; then the hosts take it, rolling. Where one does not get well
with it, or somebody says stop, all hosts go back to the version before, and so does the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.adapters.aws.records import Fleet, Instance, Secret
from bot.adapters.records import Outcome
from bot.config import Config, Environment, secrets_path
from bot.errors import BotError, Cancelled, Failed, Refused, nearest
from bot.events import Done, Note, Planned, Progress, Step, WasCancelled
from bot.job import Job
from bot.rolling import check_balancers, insist, order, steps
from bot.words import count, listed

PLAYBOOK = "rotate_key.yml"


def rotate(
    job: Job,
    environment: Environment,
    name: str,
    *,
    generate: bool = False,
    undo: bool = False,
    force: str | None = None,
) -> Progress[None]:
    """Give a key the value that was typed, a new random one, or that of the version before."""
    versions = job.secrets.versions(environment.name, name)
    now = versions[-1] if versions else None
    known = () if now else tuple(key.name for key in job.secrets.keys(environment.name))
    earlier = before(versions, name) if undo else None
    hosts = readers(job.config, job.aws.fleet(environment.name), name)
    check_balancers(job, environment, hosts)
    what = f"version {earlier.version} again" if earlier else "a random value" * generate
    what = what or "a new value"
    yield planned(job.config, environment, hosts, name, now, what)
    about = [
        f"{name} of {environment.name} gets {what}",
        f"it replaces version {now.version}" if now else "it is a new key",
        *(f"{host.name} ({host.id}) reads it" for host in hosts),
    ]
    near = nearest(name, known)
    text = f"{environment.name} has " + (
        f"{near}; create {name} beside it?" if near else f"no {name}: create it?"
    )
    if now:
        text = f"{name} of {environment.name} gets {what}: sure?"
    allowed = force if now else None
    if question := job.settle(environment, about, text, force=allowed, always=now is None):
        yield question
        return
    if force and now:
        yield Note(f"{job.speaker.name} passes over the policy: {force}")
    by, id = job.operation.person, job.operation.id
    if earlier:
        made = job.secrets.again(environment.name, name, earlier.version, id, by)
    else:
        made = job.secrets.put(environment.name, name, id, by, generate)
    said = f"version {made.version}" + (f" is version {made.root} again" if earlier else "")
    stopped = yield from roll(job, environment, hosts, name, now, made)
    if stopped is not None:
        yield stopped
        return
    yield Done(
        f"{name} of {environment.name} is {said}"
        if not earlier
        else f"{name} of {environment.name}: {said}",
        (
            f"by {made.by}, fingerprint {made.fingerprint}",
            reading(hosts),
            *meanwhile(job, environment, made),
        ),
    )


def unset(
    job: Job, environment: Environment, name: str, force: str | None = None
) -> Progress[None]:
    """Take a key away from the hosts, and then from the store."""
    versions = job.secrets.versions(environment.name, name)
    if not versions:
        raise Refused(f"{environment.name} has no {name}", f"config {environment.name} lists them")
    now = versions[-1]
    hosts = readers(job.config, job.aws.fleet(environment.name), name)
    check_balancers(job, environment, hosts)
    yield planned(job.config, environment, hosts, name, now, "away")
    about = [
        f"{name} of {environment.name} goes away, with version {now.version}",
        *(f"{host.name} ({host.id}) reads it" for host in hosts),
    ]
    text = f"{name} goes from {environment.name} and from {count(len(hosts), 'host')}: sure?"
    if question := job.settle(environment, about, text, force=force, always=True):
        yield question
        return
    if force:
        yield Note(f"{job.speaker.name} passes over the policy: {force}")
    stopped = yield from roll(job, environment, hosts, name, now, None)
    if stopped is not None:
        yield stopped
        return
    job.secrets.remove(environment.name, name)
    yield Done(f"{environment.name} has no {name} any more", (reading(hosts, "it went from"),))


def before(versions: tuple[Secret, ...], name: str) -> Secret:
    """Return the version to which undoing leads: the one before the newest's own value."""
    if not versions:
        raise Refused(f"there is no {name}", "config ENV lists the keys")
    root = versions[-1].root
    older = [made for made in versions if made.version < root]
    if not older:
        raise Refused(
            f"no version of {name} before version {root} is kept", f"rotate-key {name} ENV"
        )
    return older[-1]


def meanwhile(job: Job, environment: Environment, made: Secret) -> tuple[str, ...]:
    """Say what the store names by now, where that is not the version that the hosts got."""
    try:
        versions = job.secrets.versions(environment.name, made.name)
    except BotError:
        return ()  # the hosts have it, and this would only have been said
    if not versions:
        return ("NOT in the store any more: somebody took it away meanwhile",)
    last = versions[-1]
    if last.root == made.root:
        twice = f"the store has it twice, as version {last.version} too: AWS did one call late"
        return (twice,) if last.version != made.version else ()
    by = f", by {last.by}" if last.by else ""
    more = f"config {environment.name} {made.name} shows it"
    return (f"NOT on the hosts: version {last.version}, put meanwhile{by}; {more}",)


def readers(config: Config, fleet: Fleet, name: str) -> tuple[Instance, ...]:
    """Return the running instances that read a key: those of its types, or of all."""
    rule = config.keys.get(name)
    types = rule.types if rule and rule.types else tuple(config.types)
    return tuple(i for i in fleet.instances if i.state == "running" and i.type in types)


def planned(
    config: Config,
    environment: Environment,
    hosts: tuple[Instance, ...],
    name: str,
    now: Secret | None,
    what: str,
) -> Planned:
    """Say what will be done, and where."""
    lines = ["now: there is no such key"]
    if now:
        known = now.fingerprint or "unknown"
        lines = [f"now: version {now.version}, fingerprint {known}, by {now.by or 'somebody'}"]
    if hosts:
        lines.append(order(config, environment, hosts))
    turns = [Step("prepare", f"look at {count(len(hosts), 'host')}")] if hosts else []
    turns += steps(environment, hosts, "restart")
    title = f"{name} of {environment.name} {'goes away' if what == 'away' else f'gets {what}'}"
    names = tuple(host.name for host in hosts)
    return Planned(f"{title}, {count(len(hosts), 'host')}", tuple(lines), tuple(turns), names)


def roll(
    job: Job,
    environment: Environment,
    hosts: tuple[Instance, ...],
    name: str,
    now: Secret | None,
    made: Secret | None,
) -> Progress[WasCancelled | None]:
    """Bring the hosts to a version, None: away; what does not end well, goes back and is raised.

    Returns how it was cancelled, or nothing.
    """
    if not hosts:
        return None
    try:
        outcome = job.play(
            PLAYBOOK, environment.name, hosts, variables(job, environment, name, made)
        )
    except Cancelled as stop:
        # Told and not yielded, here and below: a cancel is thrown at a yield, and would leave it.
        job.tell(Note(f"{stop.by} said stop: every host goes back to {called(now)}"))
        return WasCancelled(stop.by, (yield from back(job, environment, hosts, name, now, made)))
    except BotError as lost:  # it vanished: its machine went down, or somebody killed it
        job.tell(Note(f"the playbook was lost: every host goes back to {called(now)}"))
        stood = yield from back(job, environment, hosts, name, now, made)
        raise Failed(lost.text, stood) from None
    if not outcome.ok:
        job.tell(Note(f"{why(outcome)}: every host goes back to {called(now)}"))
        stood = yield from back(job, environment, hosts, name, now, made)
        raise Failed(why(outcome), stood)
    return None


def back(
    job: Job,
    environment: Environment,
    hosts: tuple[Instance, ...],
    name: str,
    now: Secret | None,
    made: Secret | None,
) -> Progress[str]:
    """Bring hosts and store back to the version before; return in a sentence how it stands."""
    given = {**variables(job, environment, name, now), "packlead_back": True}
    outcome = insist(
        job, lambda: job.play(PLAYBOOK, environment.name, hosts, given, stoppable=False)
    )
    for failure in outcome.failures:
        job.tell(Note(f"{failure.host} needs a look: {failure.task}: {failure.text}"))
    left = f"not so on {listed([f.host for f in outcome.failures])}" if outcome.failures else ""
    if made is None:  # it was to go away, and the store still has it
        return f"{name} stays {called(now)} {left}".rstrip()
    try:
        if now is None:
            job.secrets.remove(environment.name, name)
            return f"{environment.name} has no {name}, as before {left}".rstrip()
        id = f"{job.operation.id}/back"
        again = job.secrets.again(environment.name, name, now.version, id, job.operation.person)
    except BotError as error:
        yield Note(error.text)
        return f"the hosts have {called(now)}, but the store still names version {made.version}"
    return f"version {again.version} is version {again.root} again {left}".rstrip()


def variables(
    job: Job, environment: Environment, name: str, version: Secret | None
) -> Mapping[str, Any]:
    """Return what the playbook is told: which version, and never what it holds."""
    has = f"has {name} version {version.version}" if version else f"has no {name}"
    return {
        "packlead_operation": job.operation.id,
        "packlead_epoch": job.operation.number,
        "packlead_key": name,
        "packlead_version": version.version if version else 0,
        "packlead_secrets": {
            "store": job.config.secrets.store,
            "path": secrets_path(job.config, environment.name),
        },
        "packlead_says": has,
    }


def current(job: Job, environment: Environment, type: str) -> Mapping[str, Any]:
    """Return what a playbook needs to bring a type's keys to hosts that come from an image.

    Nothing, where AWS lets us read no keys: perhaps none are kept there, and it is only told.
    """
    try:
        known = job.secrets.keys(environment.name)
    except Refused as refusal:
        job.tell(Note(f"new hosts keep the keys that their image has: {refusal.text}"))
        return {}
    rules = job.config.keys
    mine = [k for k in known if k.name not in rules or type in (rules[k.name].types or (type,))]
    store, path = job.config.secrets.store, secrets_path(job.config, environment.name)
    return {
        "packlead_keys": [{"name": key.name, "version": key.version} for key in mine],
        "packlead_secrets": {"store": store, "path": path},
    }


def called(version: Secret | None) -> str:
    return f"version {version.version}" if version else "having none"


def why(outcome: Outcome) -> str:
    first = outcome.failures[0]
    said = (first.text.splitlines() or ["no reason given"])[-1]
    return f"{first.task} on {first.host}: {said}"


def reading(hosts: tuple[Instance, ...], verb: str = "read by") -> str:
    return f"{verb} {listed([h.name for h in hosts])}" if hosts else "no host is there yet"
