"""Bring what is live and well in one environment to the next."""

from __future__ import annotations

from bot.adapters.records import Live
from bot.command import Source, Target, command
from bot.errors import Refused
from bot.events import Done, Note, Progress
from bot.job import Job
from bot.words import listed


@command(permission="deploy")
def promote(job: Job, source: Source, environment: Target) -> Progress[None]:
    """Deploy the commit that is live and healthy in one environment to another one.

    The deploy is one like any other: it has its own card, plan and policy.
    """
    if source.name == environment.name:
        raise Refused(f"{source.name} has its own commit already", "promote FROM TO, two of them")
    fleet = job.aws.fleet(source.name)
    live = job.hosts.live(tuple(i for i in fleet.instances if i.state == "running"))
    commit = settled(source.name, live)
    newest = next((r for r in job.history.releases(source.name) if r.commit == commit), None)
    if newest and newest.state != "healthy":
        raise Refused(
            f"release {newest.number} of {source.name} ({commit[:7]}) did not end well: "
            f"{newest.state}",
            f"deploy {source.name} first",
        )
    yield Note(f"{source.name} runs {commit[:7]} everywhere")
    made = job.hand_over("deploy", f"deploy {environment.name} {commit}")
    yield Done(f"{commit[:7]} of {source.name} goes to {environment.name}: #{made.number}")


def settled(environment: str, live: tuple[Live, ...]) -> str:
    """Return the commit that all hosts run; raises Refused where they do not agree."""
    by: dict[str, list[str]] = {}
    for item in live:
        by.setdefault(item.commit or item.trouble or "nothing", []).append(item.host)
    if not live or len(by) > 1 or not live[0].commit:
        told = "; ".join(f"{what[:40]} on {listed(names)}" for what, names in by.items())
        raise Refused(
            f"{environment} does not run one commit everywhere: {told or 'it has no hosts'}",
            f"deploy {environment} first, or deploy the commit by its name",
        )
    return live[0].commit
