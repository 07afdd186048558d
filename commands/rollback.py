"""Bring back a release that was well: the switch alone, since it is still on the hosts."""

from __future__ import annotations

import fnmatch
from collections import Counter
from dataclasses import dataclass

from bot.adapters.aws.records import Instance
from bot.adapters.records import Commit, Live
from bot.command import Environment, OperationNumber, Reason, ReleaseNumber, command
from bot.config import Config
from bot.errors import BotError, Misunderstood, Refused
from bot.events import Done, Note, Planned, Progress, Step
from bot.going import Going, going, one
from bot.job import Job
from bot.rolling import (
    check_balancers,
    choose,
    estimate,
    most,
    order,
    roll,
    runs,
    standing,
    steps,
)
from bot.store import Operation, Release
from bot.words import count, duration, listed

MIGRATIONS = "*/migrations/*.py"


@dataclass(frozen=True)
class Ways:
    """Who is rolled back and who is not, and what of that is done to whom."""

    rolling: tuple[Instance, ...]  # they run something else
    building: tuple[str, ...]  # of those, the ones that hold the release no more
    lost: tuple[str, ...]  # out of reach: they stay as they are


@command(permission="rollback", changes="environment", takes_over=True)
def rollback(
    job: Job,
    environment: Environment,
    release: ReleaseNumber | None = None,
    *,
    _from: OperationNumber | None = None,  # the dispatcher heeds it, before a deploy is stopped
    force: Reason | None = None,
) -> Progress[None]:
    """Bring a release back: the last one that was healthy, or the one of that number.

    A deploy of the environment that runs or waits is cancelled first: at once, or where a yes is
    needed and you may not cancel it, with that yes. Hosts switch as in a deploy; nothing that was
    migrated is undone. Afterwards you keep the environment, so that a push does not put back what
    went: unlock ENV gives it free. --from OPERATION goes back only while what that deploy brought
    is the newest, as its button does; --force "REASON" passes over the environment's policy, where
    its config lets you.
    """
    name = environment.name
    hosts = choose(job.aws.fleet(name), None)
    check_balancers(job, environment, hosts)
    ready = job.hosts.ready(hosts)
    live = tuple(one.live for one in ready)
    known = job.history.releases(name)
    if release is None:
        target = last_well(name, known, live)
    else:
        target = asked_for(name, release, job.history.release(name, release), live)
    ways = sort(hosts, live, {r.host: (r.commits, r.trouble) for r in ready}, target)
    if not ways.rolling:
        yield from nothing_to_do(job, environment, target, live, ways)
        return
    nowhere = len(ways.building) == len(ways.rolling) and target.commit not in commits(live)
    if release is not None and nowhere:
        raise Refused(
            f"release {release} ({target.commit[:7]}) is on no host of {name} any more",
            f"deploy {name} {target.commit[:12]} builds it anew",
        )
    away = pace(job.config, hosts)
    moving = tuple(item for item in live if item.host in {h.name for h in ways.rolling})
    leaving = most(moving)
    back = Commit(target.commit, f"rollback to {target.number}", target.subject)
    staying = migrations(job, target.commit, leaving)
    past = job.history.past(name, "rollback", 5)
    way = going(job, moving, back)
    yield plan(job, environment, target, live, ways, away, way, staying, past)
    about = [
        f"release {target.number}, {target.commit}, comes back to {name}",
        *(runs(host, live) for host in ways.rolling),
        *(f"{path} stays migrated" for path in staying or ()),
    ]
    text = f"roll {name} back to release {target.number} ({back.short}): sure?"
    if question := job.settle(environment, about, text, force=force):
        yield question
        return
    if force:
        yield Note(f"{job.speaker.name} passes over the policy: {force}")
    # A release of its own, and not the old one again: numbers grow in time on the hosts too, where
    # the newest ones are kept and this one's folder gets its number. What went is marked at once,
    # since somebody has judged it: after a rollback that fails the next one aims at the same.
    mine = job.history.begin_release(name, back)
    job.history.give_way(name, target.number, mine.number)
    variables = {
        "commit": target.commit,
        "release": mine.number,
        "packlead_away": away,
        "packlead_ready": [h.name for h in ways.rolling if h.name not in ways.building],
        "packlead_max_fail": environment.max_fail,
    }
    outcome = yield from roll(job, "rollback.yml", environment, ways.rolling, variables)
    if outcome is None:
        return
    job.history.end_release("healthy")
    # No image: new hosts start from an older one and are brought to what is live.
    went = next((f"{r.number} ({r.commit[:7]})" for r in known if r.commit == leaving), leaving[:7])
    reason = f"rolled back from {went or 'nothing'} to {target.number} ({back.short})"
    lines = keep(job, environment, reason)
    if ways.lost:
        lines = (f"{listed(ways.lost)} could not be reached and stays as it was", *lines)
    yield Done(
        f"{name} runs {back.short} of release {target.number} again, as release {mine.number}, "
        f"after {duration(outcome.seconds)}",
        lines,
    )


def last_well(environment: str, known: list[Release], live: tuple[Live, ...]) -> Release:
    """Return the last release that was healthy, before the one that hosts have come to by now.

    Where the newest one failed, hosts may still run the one before, and that is the last healthy.
    """
    bad = known[0].commit if known and known[0].state == "healthy" else ""
    bad = bad if bad in commits(live) else ""
    found = next((r for r in known if r.state == "healthy" and r.commit != bad), None)
    if found is None:
        before = f" before {known[0].number} ({bad[:7]})" if bad else ""
        raise Refused(
            f"{environment} has no release that was healthy{before}",
            f"releases {environment} shows what it had; deploy {environment} REF brings anything",
        )
    return found


def commits(live: tuple[Live, ...]) -> set[str]:
    return {item.commit for item in live}


def asked_for(
    environment: str, number: int, found: Release | None, live: tuple[Live, ...]
) -> Release:
    """Return the release that was asked for, if it may come back."""
    if found is None:
        raise Misunderstood(
            f"{environment} has no release {number}", f"releases {environment} shows them"
        )
    called = f"release {number} ({found.commit[:7]})"
    if found.state not in ("healthy", "rolled back"):
        raise Refused(
            f"{called} of {environment} was never healthy: "
            + ("it failed" if found.state == "failed" else "it has not ended"),
            f"releases {environment} shows which were; deploy {environment} {found.commit[:12]} "
            "tries it again",
        )
    if all(item.commit == found.commit for item in live):
        raise Refused(
            f"{called} is what {environment} runs",
            f"rollback {environment} goes to the one before; releases {environment} shows them",
        )
    return found


def sort(
    hosts: tuple[Instance, ...],
    live: tuple[Live, ...],
    ready: dict[str, tuple[tuple[str, ...], str]],
    target: Release,
) -> Ways:
    """Decide who is rolled back: whoever runs something else and can be reached."""
    runs = {item.host: item.commit for item in live}
    lost = tuple(h.name for h in hosts if ready[h.name][1])
    rolling = tuple(h for h in hosts if runs[h.name] != target.commit and h.name not in lost)
    building = tuple(h.name for h in rolling if target.commit not in ready[h.name][0])
    return Ways(rolling, building, lost)


def pace(config: Config, hosts: tuple[Instance, ...]) -> dict[str, int]:
    """Return how many of each type may be out at once: more than in a deploy, since what they run
    is bad and what comes is known. Half of them at most, and never so many that fewer than the
    type's minimum serve."""
    counts = Counter(host.type for host in hosts if host.type in config.types)
    return {
        type: max(config.types[type].batch, min(n // 2, n - config.types[type].minimum))
        for type, n in counts.items()
    }


def nothing_to_do(
    job: Job, environment: Environment, target: Release, live: tuple[Live, ...], ways: Ways
) -> Progress[None]:
    """Say that the hosts run it already, and what was stopped so that they still do."""
    name = environment.name
    if ways.lost:
        raise Refused(
            f"nothing of {name} can be rolled back: {listed(ways.lost)} cannot be reached",
            f"status {name} shows more",
        )
    here = f"{name} runs {target.commit[:7]} (release {target.number}) on {listed_hosts(live)}"
    past = job.history.past(name, "deploy", 5)
    since = job.operation.created
    stopped = [o for o in past if o.state == "cancelled" and (o.finished or 0) >= since]
    if not stopped:
        raise Refused(
            f"there is nothing to roll back: {here}",
            f"releases {name} shows what may come back: rollback {name} RELEASE",
        )
    what = listed([f"#{o.number} ({o.line})" for o in stopped])
    yield Done(
        f"{here} as before: {what} was stopped in time",
        keep(job, environment, f"{what} was stopped by rollback"),
    )


def listed_hosts(live: tuple[Live, ...]) -> str:
    return listed([item.host for item in live])


def keep(job: Job, environment: Environment, reason: str) -> tuple[str, ...]:
    """Lock the environment, unless somebody holds it already; say who keeps it now."""
    name = environment.name
    lock = job.history.take_lock(name, f"{reason}: unlock {name} when mended", None)
    if lock.person == job.speaker.name and lock.reason.startswith(reason):
        return (f"{name} is locked, so that no push puts it back: unlock {name} when it is mended",)
    return (f"{name} stays locked by {lock.person}: {lock.reason}",)


def migrations(job: Job, back: str, leaving: str) -> tuple[str, ...] | None:
    """Return the migrations that only what goes has; None where git cannot tell."""
    try:
        added = job.git.changed(back, leaving, "A") if leaving else ()
    except BotError:
        return None  # decoration: in an emergency nobody waits for git
    return tuple(p for p in added if fnmatch.fnmatch(f"/{p}", MIGRATIONS))


def plan(
    job: Job,
    environment: Environment,
    target: Release,
    live: tuple[Live, ...],
    ways: Ways,
    away: dict[str, int],
    way: Going,
    staying: tuple[str, ...] | None,
    past: list[Operation],
) -> Planned:
    """Say what comes back and what goes, what stays migrated, and who is left as it is."""
    short, hosts = target.commit[:7], ways.rolling
    ago = duration(job.now() - target.at)
    lines = [
        f"comes back: release {target.number}, {target.commit} {target.subject}".rstrip()
        + f", deployed {ago} ago by {target.person}"
    ]
    for word, those in (("goes", way.removed), ("comes back", way.coming)):
        others = [c for c in those if c.id != target.commit]
        lines += [f"{word}: {one(c)}" for c in others[:15]]
        if len(others) > 15:
            lines.append(f"{word}: {len(others) - 15} commits more")
    if staying is None:
        lines.append("which migrations stay cannot be told: the repository does not answer")
    elif staying:
        lines.append(
            f"NOT undone, see that {short} can live with it: {count(len(staying), 'migration')}"
        )
        lines += [f"  {path}" for path in staying[:15]]
    lines += [f"live: {line}" for line in standing(live)]
    if ways.building:
        lines.append(f"{listed(ways.building)}: {short} is not there any more, it is built first")
    if ways.lost:
        lines.append(f"{listed(ways.lost)} cannot be reached: left as it is")
    lines.append(order(job.config, environment, hosts, away))
    seconds = estimate(past)
    title = (
        f"roll {environment.name} back to release {target.number} ({short}), "
        f"{count(len(hosts), 'host')}"
    )
    prepare = Step("prepare", f"build it on {listed(ways.building)}")
    names = tuple(host.name for host in hosts)
    turns = (*([prepare] if ways.building else []), *steps(environment, hosts, "switch"))
    return Planned(title, tuple(lines), turns, names, target.commit, seconds)
