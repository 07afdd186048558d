"""Restart the services of an environment, through its balancers."""

from __future__ import annotations

from bot.adapters.aws.records import Instance
from bot.command import Environment, HostType, Reason, command
from bot.config import Config
from bot.errors import Refused
from bot.events import Done, Note, Planned, Progress, Step
from bot.job import Job
from bot.rolling import check_balancers, choose, estimate, order, roll, runs, standing, steps
from bot.words import count, duration, listed


@command(permission="restart", changes="environment")
def restart(
    job: Job,
    environment: Environment,
    type: HostType | None = None,
    *,
    force: Reason | None = None,
) -> Progress[None]:
    """Restart the services of a type, or of all; nothing else changes, and no request is lost.

    Hosts with a balancer leave it one batch at a time, the others follow together. One that does
    not get healthy stops it. --force "REASON" passes over the environment's policy, where its
    config lets you.
    """
    hosts = serving(job.config, choose(job.aws.fleet(environment.name), type))
    check_balancers(job, environment, hosts)
    live = job.hosts.live(hosts)
    seconds = estimate(job.history.past(environment.name, "restart", 5))
    title = f"restart {type or 'all'} of {environment.name}, {count(len(hosts), 'host')}"
    lines = [f"live:  {line}" for line in standing(live)]
    lines.append(order(job.config, environment, hosts))
    reach = Step("reach", f"reach {count(len(hosts), 'host')}")
    turns = (reach, *steps(environment, hosts, "restart"))
    yield Planned(title, tuple(lines), turns, tuple(h.name for h in hosts), seconds=seconds)
    about = [f"{runs(host, live)}, and is restarted" for host in hosts]
    if question := job.settle(environment, about, f"{title}: sure?", force=force):
        yield question
        return
    if force:
        yield Note(f"{job.speaker.name} passes over the policy: {force}")
    outcome = yield from roll(job, "restart.yml", environment, hosts, {})
    if outcome is None:
        return
    names = listed([host.name for host in hosts])
    yield Done(f"{environment.name}: {names} restarted, after {duration(outcome.seconds)}")


def serving(config: Config, hosts: tuple[Instance, ...]) -> tuple[Instance, ...]:
    """Return the hosts that have services; raises Refused where none has."""
    found = tuple(h for h in hosts if h.type in config.types and config.types[h.type].services)
    if not found:
        types = listed(list(dict.fromkeys(h.type for h in hosts)))
        have = listed([name for name, type in config.types.items() if type.services])
        raise Refused(f"{types} has no services to restart", f"types with services: {have}")
    return found
