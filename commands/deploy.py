"""Deploy a commit: prepare everywhere, migrate once, switch through the balancer."""

from __future__ import annotations

from bot.adapters.aws.records import Instance
from bot.adapters.records import Commit, Live
from bot.command import Environment, HostType, Reason, Ref, command
from bot.config import Config
from bot.events import Called, Done, Note, Planned, Progress, Question, Step
from bot.frozen import heed_freeze
from bot.gate import gate
from bot.going import Going, going, one
from bot.going import lines as said
from bot.job import Job
from bot.operations import PUSHES, Operation
from bot.rolling import (
    check_balancers,
    choose,
    estimate,
    once,
    order,
    roll,
    runs,
    standing,
    steps,
)
from bot.words import count, duration


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
    if not dry_run:
        heed_freeze(job, environment, force)
    commit = job.git.resolve(ref or environment.branch, environment.allow)
    fleet = job.aws.fleet(environment.name)
    hosts = choose(fleet, only)
    check_balancers(job, environment, hosts)
    live = job.hosts.live(hosts)
    past = job.history.past(environment.name, "deploy", 5)
    way = going(job, live, commit)
    if why := needless(job.operation, commit, live, way):
        yield Done(why)
        return
    yield plan(job.config, environment, hosts, commit, live, way, past)
    if dry_run:
        yield Done("a dry run: nothing was changed")
        return
    yield from gate(job, environment, commit, force)
    about = [f"{commit.id} comes to {environment.name}", *(runs(h, live) for h in hosts)]
    about += [f"REMOVED: {one(c)}" for c in way.removed]
    text = f"deploy {commit.short} ({commit.ref}) to {environment.name}"
    if way.removed:
        text += f", which takes {count(len(way.removed), 'live commit')} away"
    if question := job.settle(
        environment, about, f"{text}: sure?", force=force, always=bool(way.removed)
    ):
        yield question
        return
    if force:
        yield Note(f"{job.speaker.name} passes over the policy: {force}")
    if question := rewritten(job, environment, ref or environment.branch, commit):
        yield question
        return
    if way.people:
        yield Called("it brings commits of", way.people)
    release = job.history.begin_release(environment.name, commit)
    variables = {
        "commit": commit.id,
        "release": release.number,
        "packlead_max_fail": environment.max_fail,
        "packlead_once": once(job.config, hosts),
    }
    outcome = yield from roll(job, "deploy.yml", environment, hosts, variables)
    if outcome is None:
        return
    job.history.end_release("healthy")
    job.follow_up("image", f"image {environment.name}" + (f" {only}" if only else ""))
    yield Done(
        f"{environment.name} runs {commit.short} on {count(len(hosts), 'host')}, "
        f"release {release.number}, after {duration(outcome.seconds)}"
    )


def rewritten(job: Job, environment: Environment, ref: str, commit: Commit) -> Question | None:
    """Look at the branch once more before the first host is touched: None where it is as it was.

    One that only went on is deployed as it was asked; of one that was rewritten it is asked again.
    """
    now = job.git.resolve(ref, environment.allow)
    if now.id == commit.id or not job.git.log(now.id, commit.id):
        return None
    text = f"{ref} was rewritten meanwhile, it is {now.short} ({now.subject}) now: deploy that?"
    return job.settle(environment, [f"{now.id} instead of {commit.id}"], text, always=True)


def needless(operation: Operation, commit: Commit, live: tuple[Live, ...], way: Going) -> str:
    """Say why a push brings nothing; a person who says so gets a deploy of what is live, too."""
    if operation.front not in PUSHES:
        return ""
    if all(item.commit == commit.id for item in live):
        return f"{commit.short} is already live on {count(len(live), 'host')}"
    if commit.ref == commit.id and way.removed and not way.coming:
        return f"{operation.environment} is past {commit.short} already"
    return ""


def plan(
    config: Config,
    environment: Environment,
    hosts: tuple[Instance, ...],
    commit: Commit,
    live: tuple[Live, ...],
    way: Going,
    past: list[Operation],
) -> Planned:
    """Say what will be done: what comes, what is live where, in which order, how long."""
    lines = [f"comes: {commit.id} ({commit.ref}) {commit.subject}".rstrip()]
    lines += [f"live:  {line}" for line in standing(live)]
    if all(item.commit == commit.id for item in live):
        lines.append(f"{environment.name} runs {commit.short} already: this rolls it again")
    lines.append(order(config, environment, hosts))
    seconds = estimate(past)
    if seconds is not None:
        lines.append(f"takes about {duration(seconds)}, as the last ones did")
    lines += said(way)
    ci = (Step("ci", "wait for CI"),) if environment.ci == "wait" else ()
    prepare = Step("prepare", f"prepare {count(len(hosts), 'host')}")
    migrate = Step("migrate", "migrate the database")
    turns = (*ci, prepare, migrate, *steps(environment, hosts, "switch"))
    title = (
        f"deploy {commit.short} ({commit.ref}) to {environment.name}, {count(len(hosts), 'host')}"
    )
    names = tuple(h.name for h in hosts)
    return Planned(title, tuple(lines), turns, names, commit.id, seconds)
