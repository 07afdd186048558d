"""How instances go: out of the balancer, finished, stopped, terminated. Who goes was decided before
(commands/scale.py); a cancel puts them back; after the point of no return it goes on to the end.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.adapters.aws.records import Instance
from bot.config import Environment
from bot.errors import BotError, Cancelled, Failed, Refused
from bot.events import Done, HostReport, Note, Planned, Progress, Step, StepEnded, StepStarted
from bot.job import Job
from bot.rolling import insist
from bot.scaling import leave, played, targets
from bot.shards import MEND
from bot.words import listed


def shrink(
    job: Job,
    environment: Environment,
    present: tuple[Instance, ...],
    going: tuple[Instance, ...],
) -> Progress[None]:
    """Take instances out of the balancer, let them finish, and terminate them."""
    type, names = going[0].type, tuple(i.name for i in going)
    left = [i.name for i in present if i not in going]
    guard(job, environment, present, going)
    heed_kept(job, going)
    yield Planned(
        f"{environment.name}: {len(present)} {type} now, {listed(names)} "
        f"{'goes' if len(names) == 1 else 'go'}, {len(left)} stay",
        (f"stay: {listed(left)}", "highest number first; the master never goes"),
        (Step("retire", "leave the balancer, finish, stop"), Step("terminate", "terminate")),
        names,
    )
    variables = {
        "packlead_operation": job.operation.id,
        "packlead_epoch": job.operation.number,
    }
    reachable = tuple(i for i in going if i.state == "running")
    if reachable:
        try:
            outcome = yield from played(job, "retire.yml", environment, reachable, variables)
            for failure in outcome.failures:
                text = f"did not stop in order: {failure.text}"
                job.tell(HostReport(failure.host, text, ok=False))
        except Cancelled:
            put_back(job, environment, reachable, variables)
            raise
        except Failed as lost:
            job.tell(Note(f"{listed(names)} may not stop in order: {lost.text}"))
    try:
        # A host that could not be reached has not left by itself: nobody is sent to what is gone.
        leave(job, environment, type, going)
        job.tell(StepStarted("terminate"))
        job.aws.terminate(tuple(i.id for i in going))
    except BotError:
        put_back(job, environment, reachable, variables)
        raise
    job.tell(StepEnded("terminate"))
    yield Done(f"{environment.name} has {len(left)} {type}: {listed(names)} went")


def put_back(
    job: Job,
    environment: Environment,
    hosts: tuple[Instance, ...],
    variables: Mapping[str, object],
) -> None:
    """Bring hosts back that have left, or were about to."""
    if not hosts:
        return
    job.tell(Note("putting back what was on its way out"))
    insist(job, lambda: job.play(MEND, environment.name, hosts, variables, stoppable=False))


def guard(
    job: Job, environment: Environment, present: tuple[Instance, ...], going: tuple[Instance, ...]
) -> None:
    """Refuse to take what serves away where too few of those that stay do: one may be ill."""
    type = going[0].type
    if type not in environment.balancers:
        return
    well = {id for id, state in targets(job, environment, type).items() if state == "healthy"}
    ill = [i.name for i in present if i not in going and i.id not in well]
    serve, least = len(present) - len(going) - len(ill), job.config.types[type].minimum
    if serve < least and any(i.id in well for i in going):
        raise Refused(
            f"{listed(ill)} {'is' if len(ill) == 1 else 'are'} not healthy in the balancer: "
            f"{serve} {type} would serve, {environment.name} needs {least}",
            f"mend {'it' if len(ill) == 1 else 'them'} first; status {environment.name} shows more",
        )


def heed_kept(job: Job, going: tuple[Instance, ...]) -> None:
    """Refuse to begin with what AWS would not end, or would start again: hosts leave before."""
    kept = job.aws.kept(tuple(i.id for i in going))
    lines = [f"{i.name} ({i.id}) cannot go: {kept[i.id]}" for i in going if i.id in kept]
    if lines:
        raise Refused("\n".join(lines), "change that in AWS, and say it again")
