"""What a deploy would bring."""

from __future__ import annotations

from bot.command import Environment, Ref, command
from bot.events import Answered, Progress
from bot.going import going, lines
from bot.job import Job
from bot.words import listed


@command(permission="status")
def diff(job: Job, environment: Environment, ref: Ref | None = None) -> Progress[None]:
    """Show what is between the commit that is live on the hosts and a branch, tag or commit.

    Without REF it is the environment's own branch, as in deploy.
    """
    commit = job.git.resolve(ref or environment.branch, environment.allow)
    fleet = job.aws.fleet(environment.name)
    live = job.hosts.live(tuple(i for i in fleet.instances if i.state == "running"))
    runs = sorted({item.commit[:7] for item in live if item.commit})
    way = going(job, live, commit)
    first = f"{environment.name} runs {listed(runs) if runs else 'nothing that is known'}; "
    first += f"{commit.ref} is {commit.short} {commit.subject}"
    yield Answered((first, *(lines(way) or ["there is nothing between them"])))
