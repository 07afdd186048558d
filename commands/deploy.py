"""Deploy a commit: prepare everywhere, migrate once, switch through the balancer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from statistics import median

from bot.adapters.aws.records import Fleet, Instance
from bot.adapters.records import Commit, Live, Outcome
from bot.command import Environment, HostType, Reason, Ref, command
from bot.config import Config
from bot.errors import BotError, Cancelled, Failed, Refused
from bot.events import Done, Note, Planned, Progress, Step, WasCancelled
from bot.job import Job
from bot.store import Operation
from bot.words import count, duration, listed


@command(permission="deploy", changes="environment")
def deploy(
    job: Job,
    environment: Environment,
    ref: Ref | None = None,
    *,
    only: HostType | None = None,
    dry_run: bool = False,
    force: Reason | None = None,
) -> Progress[None]:
    """Deploy a branch, a tag or a commit to an environment.

    Without REF it is the environment's own branch. Hosts with a balancer switch one batch at a
    time, the others after them; a host that does not get healthy goes back, and the roll stops.
    --only deploys to one type; --dry-run shows the plan and does nothing; --force "REASON" passes
    over the environment's policy, where its config lets you.
    """
    commit = job.git.resolve(ref or environment.branch, environment.allow)
    fleet = job.aws.fleet(environment.name)
    hosts = choose(fleet, only)
    for type in dict.fromkeys(h.type for h in hosts):
        if type in environment.balancers:
            job.aws.balancer(environment.name, type)  # one that does not exist stops us here
    live = job.hosts.live(hosts)
    past = job.history.past(environment.name, "deploy", 5)
    coming, going = changes(job, live, commit)
    yield plan(job.config, environment, hosts, commit, live, coming, going, past)
    if dry_run:
        yield Done("a dry run: nothing was changed")
        return
    about = [f"{commit.id} comes to {environment.name}", *(runs(h, live) for h in hosts)]
    text = f"deploy {commit.short} ({commit.ref}) to {environment.name}: sure?"
    if question := job.settle(environment, about, text, force=force):
        yield question
        return
    if force:
        yield Note(f"{job.speaker.name} passes over the policy: {force}")
    release = job.history.begin_release(environment.name, commit)
    variables = {
        "commit": commit.id,
        "release": release.number,
        "packlead_operation": job.operation.id,
        "packlead_epoch": job.operation.number,
        "packlead_max_fail": environment.max_fail,
    }
    try:
        outcome = job.play("deploy.yml", environment.name, hosts, variables)
    except Cancelled as stop:
        job.history.end_release("failed")
        yield Note(f"{stop.by} said stop: putting back what was begun")
        yield from mend(job, environment, hosts, variables)
        yield WasCancelled(stop.by, stood(job.hosts.live(hosts)))
        return
    except Failed as lost:  # the playbook vanished: its machine went down, or somebody killed it
        job.history.end_release("failed")
        yield from mend(job, environment, hosts, variables)
        raise Failed(lost.text, stood(job.hosts.live(hosts))) from None
    if not outcome.ok:
        job.history.end_release("failed")
        yield from mend(job, environment, hosts, variables)
        raise failed(outcome, job.hosts.live(hosts))
    job.history.end_release("healthy")
    job.follow_up("image", f"image {environment.name}" + (f" {only}" if only else ""))
    yield Done(
        f"{environment.name} runs {commit.short} on {count(len(hosts), 'host')}, "
        f"release {release.number}, after {duration(outcome.seconds)}"
    )


def runs(host: Instance, live: tuple[Live, ...]) -> str:
    """Say what one instance runs now."""
    commit = next((item.commit for item in live if item.host == host.name), "")
    return f"{host.name} ({host.id}) runs {commit[:7] or 'nothing known'}"


def choose(fleet: Fleet, only: str | None) -> tuple[Instance, ...]:
    """Return the running instances that are deployed to; raises Refused where there are none."""
    hosts = tuple(i for i in fleet.instances if i.state == "running" and only in (None, i.type))
    if not hosts:
        what = f"instances of type {only}" if only else "instances"
        raise Refused(
            f"{fleet.environment} has no running {what}",
            f"instances are found by their tags Env={fleet.environment}, Type and Name",
        )
    return hosts


def changes(
    job: Job, live: tuple[Live, ...], commit: Commit
) -> tuple[tuple[Commit, ...], tuple[Commit, ...]]:
    """Return the commits that come, and those that would go; none where git cannot tell."""
    known = Counter(item.commit for item in live if item.commit).most_common(1)
    if not known or known[0][0] == commit.id:
        return (), ()
    try:
        return job.git.log(known[0][0], commit.id), job.git.log(commit.id, known[0][0])
    except BotError:
        return (), ()  # decoration: a plan without its commits is still a plan


def plan(
    config: Config,
    environment: Environment,
    hosts: tuple[Instance, ...],
    commit: Commit,
    live: tuple[Live, ...],
    coming: tuple[Commit, ...],
    going: tuple[Commit, ...],
    past: list[Operation],
) -> Planned:
    """Say what will be done: what comes, what is live where, in which order, how long."""
    names = [h.name for h in hosts]
    balanced = [h for h in hosts if h.type in environment.balancers]
    others = [h.name for h in hosts if h not in balanced]
    lines = [f"comes: {commit.id} ({commit.ref}) {commit.subject}".rstrip()]
    if going:
        lines.append(f"{count(len(going), 'commit')} that is live would be REMOVED:")
        lines += [f"  - {c.short} {c.subject} ({c.author})" for c in going[:15]]
    lines += [f"live:  {line}" for line in standing(live)]
    if coming:
        lines.append(f"{count(len(coming), 'commit')}:")
        lines += [f"  {c.short} {c.subject} ({c.author})" for c in coming[:15]]
        if len(coming) > 15:
            lines.append(f"  and {len(coming) - 15} more")
    order = []
    for type in dict.fromkeys(h.type for h in balanced):
        batch = config.types[type].batch
        pace = "one at a time" if batch == 1 else f"{batch} at a time"
        order.append(f"{listed([h.name for h in balanced if h.type == type])}, {pace}")
    if others:
        order.append(listed(others) + (" together" if len(others) > 1 else ""))
    lines.append(f"order: {'; then '.join(order)}")
    seconds = estimate(past)
    if seconds is not None:
        lines.append(f"takes about {duration(seconds)}, as the last ones did")
    steps = [
        Step("prepare", f"prepare {count(len(names), 'host')}"),
        Step("migrate", "migrate the database"),
    ]
    if balanced:
        steps.append(Step("switch web", f"switch {listed([h.name for h in balanced], 4)}"))
    if others:
        steps.append(Step("switch the rest", f"switch {listed(others, 4)}"))
    title = (
        f"deploy {commit.short} ({commit.ref}) to {environment.name}, {count(len(names), 'host')}"
    )
    return Planned(title, tuple(lines), tuple(steps), tuple(names), commit.id, seconds)


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
    """Return the median time of the last deploys that ended well, in seconds."""
    times = [o.finished - o.started for o in past if o.state == "done" and o.finished and o.started]
    return median(times) if times else None


def failed(outcome: Outcome, live: tuple[Live, ...]) -> Failed:
    """Say which host failed at what, and where the roll left the fleet."""
    text = "the deploy stopped"
    if outcome.failures:
        first = outcome.failures[0]
        text = f"{first.task} on {first.host}: {(first.text.splitlines() or ['no output'])[-1]}"
    return Failed(text, stood(live))


def mend(
    job: Job, environment: Environment, hosts: tuple[Instance, ...], variables: Mapping[str, object]
) -> Progress[None]:
    """Put hosts that were left in the middle back to one release, and back into the balancer."""
    outcome = job.play("mend.yml", environment.name, hosts, variables, stoppable=False)
    for failure in outcome.failures:
        yield Note(f"{failure.host} needs a look: {failure.task}: {failure.text}")
