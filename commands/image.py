"""Make an image of each type's master, from which new instances start."""

from __future__ import annotations

from bot.adapters.aws.records import Fleet, Image, Instance
from bot.command import Environment, HostType, command
from bot.errors import BotError, Failed, Refused
from bot.events import Done, Note, Planned, Progress
from bot.job import Job
from bot.words import count, duration, listed


@command(permission="deploy")
def image(job: Job, environment: Environment, type: HostType | None = None) -> Progress[None]:
    """Make an image of each type's master; every deploy does it when its hosts are done."""
    fleet = job.aws.fleet(environment.name)
    chosen = masters(fleet, type)
    began = job.now()
    yield Planned(f"make an image of {listed([m.name for m in chosen])}")
    # What it holds is asked of the host: a release may have been deployed to one type alone.
    runs = {live.host: live.commit for live in job.hosts.live(chosen)}
    releases = job.history.releases(environment.name)
    number = job.operation.number
    asked: list[tuple[Instance, Image]] = []
    troubles: list[str] = []
    for master in chosen:
        tags = {
            "Env": environment.name,
            "Type": master.type,
            "Master": master.name,
            "Release": next((str(r.number) for r in releases if r.commit == runs[master.name]), ""),
            "Commit": runs[master.name],
            "Operation": job.operation.id[:200],
        }
        name = f"{job.config.app.name}-{master.name}-{number}"
        try:
            asked.append((master, job.aws.image(master, name, tags)))
        except BotError as error:
            troubles.append(f"{master.name}: {error.text}")
    there: list[str] = []
    for master, made in asked:
        try:
            job.aws.wait_image(made.id)
        except BotError as error:
            troubles.append(f"{master.name}: {error.text}")
            continue
        there.append(made.id)
        yield Note(f"image {made.id} of {master.name} is there")
    if troubles:
        raise Failed(
            f"made {count(len(there), 'image')} of {len(chosen)}: {'; '.join(troubles)}",
            f"the hosts are as they were; again: image {environment.name}",
        )
    yield Done(f"{listed(there)} made in {duration(job.now() - began)}")


def masters(fleet: Fleet, type: str | None) -> tuple[Instance, ...]:
    """Return the master of one type, or of each."""
    chosen = [fleet.master(t) for t in fleet.types() if type in (None, t)]
    found = tuple(m for m in chosen if m is not None and m.state == "running")
    if not found:
        raise Refused(f"{fleet.environment} has no running master{f' of {type}' if type else ''}")
    return found
