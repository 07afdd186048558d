"""How the instances are: what each runs, its health, and who has the environment."""

from __future__ import annotations

from bot.adapters.aws.records import Fleet, Target
from bot.adapters.records import Live
from bot.command import Environment, command
from bot.errors import BotError, Refused
from bot.events import Answered, Progress
from bot.frozen import frozen
from bot.job import Job
from bot.store import Operation, Release
from bot.words import duration, lock_line


@command(permission="status")
def status(job: Job, environment: Environment | None = None) -> Progress[None]:
    """Show an environment's instances by type, the commit and health of each, and what runs."""
    names = [environment.name] if environment else list(job.config.environments)
    mine = [name for name in names if job.may("status", name)]
    if not mine:
        raise Refused(f"{job.speaker.name} may not see any environment")
    told: list[str] = []
    for name in mine:
        told += (*look(job, name), "")
    yield Answered(tuple(told[:-1]), table=True)


def look(job: Job, name: str) -> list[str]:
    """Return the lines of one environment."""
    fleet = job.aws.fleet(name)
    lines = [head(name, fleet, job.history.live(name), job.history.releases(name), job.now())]
    if lock := job.history.lock(name):
        lines.append(f"  locked: {lock_line(lock, job.now())}")
    now = job.now()
    if freeze := frozen(job, name, now):
        left = duration(freeze.until - now)
        lines.append(f"  frozen: for {left} more, by {freeze.by}: {freeze.reason}")
    running = tuple(i for i in fleet.instances if i.state == "running")
    live = {item.host: item for item in job.hosts.live(running)}
    health: dict[str, Target] = {}
    for type in fleet.types():
        try:
            balancer = job.aws.balancer(name, type)
            targets = job.aws.targets(balancer) if balancer else ()
        except BotError as error:
            lines.append(f"  {error.text}")
            continue
        health |= {target.instance: target for target in targets}
    return lines + rows(name, job, fleet, live, health)


def head(
    name: str, fleet: Fleet, operations: list[Operation], releases: list[Release], now: float
) -> str:
    """Return an environment's first line: how many instances, the last deploy, what runs now."""
    parts = [f"{len(fleet.of(type))} {type}" for type in fleet.types()] or ["no instances"]
    text = f"{name}: {', '.join(parts)}"
    if releases:
        last = releases[0]
        text += (
            f"; release {last.number} ({last.commit[:7]}, {last.ref}) by {last.person}, "
            f"{last.state}, {duration(now - last.at)} ago"
        )
    for operation in operations:
        if operation.exclusive:
            text += f"; #{operation.number} {operation.state}: {operation.line}"
    return text


def rows(
    name: str, job: Job, fleet: Fleet, live: dict[str, Live], health: dict[str, Target]
) -> list[str]:
    """Return a line for each instance."""
    told = []
    for i in fleet.instances:
        runs = live.get(i.name, Live(i.name))
        state = i.state if i.state != "running" else runs.commit[:7] or runs.trouble or "nothing"
        target = health.get(i.id)
        balanced = i.type in job.config.environments[name].balancers
        well = target.state if target else "not in the balancer" if balanced else ""
        reason = f" ({target.reason})" if target and target.reason and well != "healthy" else ""
        told.append(f"  {i.name:20} {i.type:10} {i.address:15} {state:14} {well}{reason}".rstrip())
    return told
