"""A roll over the hosts of an environment: who is in it, in which order, and how one that stops is
mended. Deploy, rollback and restart are rolls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from statistics import median

from bot.adapters.aws.records import Fleet, Instance
from bot.adapters.records import Live, Outcome
from bot.config import Config, Environment
from bot.errors import Cancelled, Failed, Refused
from bot.events import Note, Progress, Step, WasCancelled
from bot.job import Job
from bot.shards import MEND, PHASES, Phase, merged
from bot.store import Operation
from bot.words import listed


def choose(fleet: Fleet, only: str | None) -> tuple[Instance, ...]:
    """Return the running instances that a roll is over; raises Refused where there are none."""
    hosts = tuple(i for i in fleet.instances if i.state == "running" and only in (None, i.type))
    if not hosts:
        what = f"instances of type {only}" if only else "instances"
        raise Refused(
            f"{fleet.environment} has no running {what}",
            f"instances are found by their tags Env={fleet.environment}, Type and Name",
        )
    return hosts


def check_balancers(job: Job, environment: Environment, hosts: tuple[Instance, ...]) -> None:
    """Raise Misconfigured or Failed where a balancer that the roll goes through does not exist."""
    for type in dict.fromkeys(h.type for h in hosts):
        if type in environment.balancers:
            job.aws.balancer(environment.name, type)


def most(live: tuple[Live, ...]) -> str:
    """Return the commit that most hosts run; empty where none can be told."""
    known = Counter(item.commit for item in live if item.commit).most_common(1)
    return known[0][0] if known else ""


def order(
    config: Config,
    environment: Environment,
    hosts: tuple[Instance, ...],
    away: Mapping[str, int] | None = None,
) -> str:
    """Say who comes after whom: those behind a balancer by batches, the others after them.

    With `away`, how many of a type are out at once, the others switch at the same time.
    """
    behind, others = split(environment, hosts)
    parts = []
    for type in dict.fromkeys(h.type for h in behind):
        batch = (away or {}).get(type) or config.types[type].batch
        pace = "one at a time" if batch == 1 else f"{batch} at a time"
        parts.append(f"{listed([h.name for h in behind if h.type == type])}, {pace}")
    if others:
        named = listed([h.name for h in others])
        if away and parts:
            return f"order: {'; then '.join(parts)}; {named} at the same time"
        parts.append(named + (" together" if len(others) > 1 else ""))
    return f"order: {'; then '.join(parts)}"


def steps(environment: Environment, hosts: tuple[Instance, ...], verb: str) -> tuple[Step, ...]:
    """Return the steps in which hosts take turns; their ids are the plays of the playbooks."""
    behind, others = split(environment, hosts)
    made = (("switch web", behind), ("switch the rest", others))
    return tuple(Step(id, f"{verb} {listed([h.name for h in who], 4)}") for id, who in made if who)


def split(
    environment: Environment, hosts: tuple[Instance, ...]
) -> tuple[list[Instance], list[Instance]]:
    """Return the hosts behind a balancer, and the others."""
    behind = [h for h in hosts if h.type in environment.balancers]
    return behind, [h for h in hosts if h not in behind]


def once(config: Config, hosts: tuple[Instance, ...]) -> str:
    """Return the name of the host on which is done what is done once: of app.manager, or first."""
    return next((h.name for h in hosts if h.type == config.app.manager), hosts[0].name)


def runs(host: Instance, live: tuple[Live, ...]) -> str:
    """Say what one instance runs now."""
    commit = next((item.commit for item in live if item.host == host.name), "")
    return f"{host.name} ({host.id}) runs {commit[:7] or 'nothing known'}"


def standing(live: tuple[Live, ...]) -> list[str]:
    """Say what runs where, hosts with the same commit together."""
    by: dict[str, list[str]] = {}
    for item in live:
        by.setdefault(item.commit[:7] or item.trouble or "nothing", []).append(item.host)
    return [f"{what} on {listed(names)}" for what, names in by.items()]


def stood(live: tuple[Live, ...]) -> str:
    """Say where a stopped roll left the hosts."""
    return "it stands now at " + "; ".join(standing(live))


def estimate(past: list[Operation]) -> float | None:
    """Return the median time of the last ones that ended well, in seconds."""
    times = [o.finished - o.started for o in past if o.state == "done" and o.finished and o.started]
    times = [each for each in times if each > 0]  # a clock may have been set back meanwhile
    return median(times) if times else None


def roll(
    job: Job,
    playbook: str,
    environment: Environment,
    hosts: tuple[Instance, ...],
    variables: Mapping[str, object],
) -> Progress[Outcome | None]:
    """Play a roll to its end. One that stops is mended and ends the operation: None, or Failed.

    The operation's release, where it has begun one, is closed as failed then.
    """
    given = {
        "packlead_operation": job.operation.id,
        "packlead_epoch": job.operation.number,
        **variables,
    }
    try:
        outcome = play(job, playbook, environment, hosts, given)
    except Cancelled as stop:
        job.history.end_release("failed")
        yield Note(f"{stop.by} said stop: putting back what was begun")
        yield from mend(job, environment, hosts, given)
        yield WasCancelled(stop.by, stood(job.hosts.live(hosts)))
        return None
    except Failed as lost:  # the playbook vanished: its machine went down, or somebody killed it
        job.history.end_release("failed")
        yield from mend(job, environment, hosts, given)
        raise Failed(lost.text, stood(job.hosts.live(hosts))) from None
    if not outcome.ok:
        job.history.end_release("failed")
        yield from mend(job, environment, hosts, given)
        raise failed(job.operation.command, outcome, job.hosts.live(hosts))
    return outcome


def play(
    job: Job,
    playbook: str,
    environment: Environment,
    hosts: tuple[Instance, ...],
    variables: Mapping[str, object],
    stoppable: bool = True,
) -> Outcome:
    """Play a playbook: in one run, or in phases where there are more hosts than one may drive."""
    most = job.shards.most()
    first = "" if playbook == MEND else MEND
    if len(hosts) <= most:
        return job.play(playbook, environment.name, hosts, variables, stoppable, mend=first)
    outcomes: list[Outcome] = []
    for phase in PHASES[playbook]:
        if who := over(phase, environment, hosts, variables):
            given = {**variables, **fetched(variables)} if outcomes else variables
            outcomes.append(
                job.play(
                    playbook, environment.name, who, given, stoppable,
                    mend=first, plays=phase.plays, tell=job.shards.own(phase),
                )
                if phase.over == "behind"
                else job.shards.play(
                    phase, playbook, environment.name, who, given, most, stoppable
                )
            )  # fmt: skip
            if not (outcomes[-1].ok or phase.goes_on or outcomes[-1].play == "stayed behind"):
                break
    return merged(outcomes, sum(outcome.seconds for outcome in outcomes))


def over(
    phase: Phase,
    environment: Environment,
    hosts: tuple[Instance, ...],
    variables: Mapping[str, object],
) -> tuple[Instance, ...]:
    """Return the hosts that a phase goes over; where it migrates, with the one that does it.

    Of the variables packlead_ready names those that have the release already, and packlead_once the
    one that migrates.
    """
    behind, others = split(environment, hosts)
    if phase.over == "all":
        return hosts
    if phase.over == "building":
        ready = variables.get("packlead_ready")
        known = set(ready) if isinstance(ready, Collection) else set()
        return tuple(host for host in hosts if host.name not in known)
    if phase.over == "rest":
        return tuple(others)
    first = next((h for h in hosts if h.name == variables.get("packlead_once")), hosts[0])
    once = [first] if "migrate" in phase.plays and first not in behind else []
    return tuple(once + behind)


def fetched(variables: Mapping[str, object]) -> dict[str, object]:
    """Return what hosts would have told when they fetched a release, in a run before this one."""
    if "release" not in variables:
        return {}
    name = f"{variables['release']:07d}-{str(variables['commit'])[:12]}"  # as in release.py
    return {"fetched": {"release": name}}


def mend(
    job: Job, environment: Environment, hosts: tuple[Instance, ...], variables: Mapping[str, object]
) -> Progress[None]:
    """Put hosts that were left in the middle back to one release, and back into the balancer."""
    outcome = insist(job, lambda: play(job, MEND, environment, hosts, variables, stoppable=False))
    for failure in outcome.failures:
        yield Note(f"{failure.host} needs a look: {failure.task}: {failure.text}")


def insist(job: Job, play: Callable[[], Outcome]) -> Outcome:
    """Play what puts things back, and once more where it vanished with its machine.

    Told and not yielded: a cancel is thrown at a yield, and would leave it undone.
    """
    try:
        return play()
    except Failed as lost:
        job.tell(Note(f"{lost.text}; once more"))
    return play()


def failed(command: str, outcome: Outcome, live: tuple[Live, ...]) -> Failed:
    """Say which host failed at what, and where the roll left the fleet."""
    text = f"the {command} stopped"
    if outcome.failures:
        first = outcome.failures[0]
        text = f"{first.task} on {first.host}: {(first.text.splitlines() or ['no output'])[-1]}"
    return Failed(text, stood(live))
