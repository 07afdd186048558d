"""How instances come: launched, brought to what is live, joined. Who comes was decided before
(commands/scale.py); a cancel takes away again what has come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bot.adapters.aws.records import Fleet, Image, Instance
from bot.adapters.records import Commit, Live, Outcome
from bot.config import Environment
from bot.errors import BotError, Cancelled, Failed, Refused
from bot.events import Done, Note, Planned, Progress, Step, StepEnded, StepStarted
from bot.job import Job
from bot.rotation import current
from bot.words import count, listed


def grow(
    job: Job, environment: Environment, fleet: Fleet, type: str, names: tuple[str, ...]
) -> Progress[None]:
    """Launch instances like the master, bring them to the live commit and behind the balancer."""
    master = fleet.master(type)
    if master is None or master.state != "running":
        raise Refused(
            f"{environment.name} has no running {type} to make more of",
            "start its master, or make one: it is the instance of the lowest number",
        )
    if environment.balancers.get(type):
        job.aws.balancer(environment.name, type)
    image = newest(job.aws.images(environment.name), master)
    present = tuple(i for i in fleet.of(type) if i.state == "running")
    live = live_commit(job.hosts.live(present))
    places = spread(names, [i.subnet for i in present], master.subnet)
    yield Planned(
        f"{environment.name}: {len(fleet.of(type))} {type} now, {len(names)} more: {listed(names)}",
        (
            f"from {image.id} of {master.name}, made {image.created[:16].replace('T', ' ')}",
            f"it holds {image.commit[:7] or 'an unknown commit'}; "
            + ("that is live" if image.commit == live.id else f"they are brought to {live.short}"),
            *(
                [f"{master.name} is the master, since {environment.name}{type}1 is gone"]
                if master.number > 1
                else []
            ),
            *([f"in turn in {listed(list(dict.fromkeys(places)))}"] if places else []),
        ),
        (
            Step("launch", f"launch {count(len(names), 'instance')}"),
            Step("reach", "wait for ssh"),
            Step("prepare", f"bring them to {live.short}"),
            Step("join", "start, be healthy, join"),
        ),
        names,
        live.id,
    )
    variables = joining(job, environment, type, live)
    yield StepStarted("launch")
    launched = job.aws.launch(master, image.id, names, job.operation.id, places)
    troubles = [f"{x.name}: {x.trouble}" for x in launched if x.instance is None]
    made = tuple(x.instance for x in launched if x.instance is not None)
    running: tuple[Instance, ...] = ()
    try:
        running = job.aws.wait_running(tuple(i.id for i in made))
    except BotError as error:
        troubles.append(error.text)
    up = {i.id for i in running}
    if still := tuple(i for i in made if i.id not in up):
        why = reasons(job, still)
        troubles += [f"{i.name} ({i.id}) did not start{why.get(i.id, '')}" for i in still]
    # Told and not yielded, here and below: a cancel is thrown at a yield, and must not be before
    # what was made is taken away again, or what has left is terminated.
    job.tell(StepEnded("launch", "done" if running else "failed", f"{len(running)} run"))
    well: tuple[str, ...] = ()
    stopped: Cancelled | None = None
    if running:
        try:
            outcome = yield from played(job, "join.yml", environment, running, variables)
            well = outcome.hosts
            troubles += [f"{f.host}: {f.task}: {last_line(f.text)}" for f in outcome.failures]
        except Cancelled as stop:
            stopped = stop
        except BotError as error:
            troubles.append(error.text)
    bad = tuple(i for i in made if i.name not in well)
    if bad:
        job.tell(Note(f"taking away again: {listed([i.name for i in bad])}"))
        try:
            leave(job, environment, type, bad)
        except BotError as error:  # what is gone is sent nothing, by its balancer's own checks
            troubles.append(error.text)
        job.aws.terminate(tuple(i.id for i in bad))
    for trouble in troubles[:15]:
        yield Note(trouble)
    if stopped:
        raise stopped
    if len(well) < len(names):
        raise Failed(
            f"{len(well)} of {count(len(names), 'new instance')} joined"
            + (f"; {troubles[0]}" if troubles else ""),
            f"what came stays, the others were taken away; again: scale {environment.name} {type} "
            f"{len(fleet.of(type)) + len(names)}",
        )
    yield Done(
        f"{environment.name} has {len(fleet.of(type)) + len(well)} {type}: {listed(well)} came"
    )


def spread(names: Sequence[str], taken: Sequence[str], first: str) -> tuple[str, ...]:
    """Return the subnet of each new instance: the one in which the fewest of its type are.

    `taken` are the subnets of those that run. Nothing, where they are all in one, or AWS does not
    say: then all go to the master's, `first`, which goes first among equals too.
    """
    counts = Counter(subnet for subnet in taken if subnet)
    if len(counts) < 2:
        return ()
    places = []
    for _ in names:
        place = min(counts, key=lambda subnet: (counts[subnet], subnet != first, subnet))
        counts[place] += 1
        places.append(place)
    return tuple(places)


def reasons(job: Job, instances: tuple[Instance, ...]) -> dict[str, str]:
    """Return why instances did not start, as the end of a sentence; it is only to be told."""
    try:
        told = job.aws.reasons(tuple(i.id for i in instances))
    except BotError:
        return {}
    return {id: f": {text}" for id, text in told.items()}


def joining(job: Job, environment: Environment, type: str, live: Commit) -> dict[str, object]:
    """Return what join.yml needs to know."""
    releases = job.history.releases(environment.name)
    return {
        "commit": live.id,
        "release": next((r.number for r in releases if r.commit == live.id), 0),
        "packlead_operation": job.operation.id,
        "packlead_epoch": job.operation.number,
        **current(job, environment, type),
    }


def gather(
    job: Job, environment: Environment, type: str, present: tuple[Instance, ...]
) -> Progress[None]:
    """Nothing comes, nothing goes; but what a scaling that broke off has left outside joins."""
    already = f"{environment.name} has {len(present)} {type} already"
    states = targets(job, environment, type)
    running = tuple(i for i in present if i.state == "running")
    outside = tuple(i for i in running if states.get(i.id, "absent") in ("absent", "draining"))
    if not outside or type not in environment.balancers:
        yield Done(already)
        return
    live = live_commit(job.hosts.live(tuple(i for i in running if i not in outside) or outside))
    names = tuple(i.name for i in outside)
    yield Planned(
        f"{already}; outside of the balancer: {listed(names)}",
        (f"brought to {live.short}, which is live, and behind the balancer",),
        (
            Step("reach", "wait for ssh"),
            Step("prepare", f"bring them to {live.short}"),
            Step("join", "start, be healthy, join"),
        ),
        names,
        live.id,
    )
    outcome = yield from played(
        job, "join.yml", environment, outside, joining(job, environment, type, live)
    )
    if first := next(iter(outcome.failures), None):
        raise Failed(
            f"{first.task} on {first.host}: {last_line(first.text)}",
            f"{listed([n for n in names if n not in outcome.hosts])} stays outside of the balancer",
        )
    yield Done(f"{already}; {listed(names)} joined the balancer")


def newest(images: tuple[Image, ...], master: Instance) -> Image:
    """Return the newest available image of a type's masters; raises Refused where there is none."""
    mine = [i for i in images if i.type == master.type]
    ready = sorted((i for i in mine if i.state == "available"), key=lambda i: i.created)
    if ready:
        return ready[-1]
    waiting = [i for i in mine if i.state == "pending"]
    raise Refused(
        f"{waiting[-1].id} of {master.name} is still being made"
        if waiting
        else f"there is no image of {master.name}",
        "say it again in some minutes"
        if waiting
        else f"image {master.environment} {master.type} makes one; so does every deploy",
    )


def live_commit(live: tuple[Live, ...]) -> Commit:
    """Return the commit that most instances run; raises Refused where none can be told."""
    known = Counter(x.commit for x in live if x.commit).most_common(1)
    if not known:
        raise Refused(
            "no running instance can say what it runs: " + "; ".join(x.trouble for x in live),
            "deploy first, or see status",
        )
    return Commit(known[0][0])


def played(
    job: Job,
    playbook: str,
    environment: Environment,
    hosts: tuple[Instance, ...],
    variables: Mapping[str, object],
) -> Progress[Outcome]:
    """Play a playbook, and once more where it vanished with its machine: these can be repeated."""
    try:
        return job.play(playbook, environment.name, hosts, variables)
    except Failed as lost:
        yield Note(f"{lost.text}; once more")
    return job.play(playbook, environment.name, hosts, variables)


def targets(job: Job, environment: Environment, type: str) -> dict[str, str]:
    """Return how the instances of a type stand in its balancer, if it has one."""
    balancer = job.aws.balancer(environment.name, type) if type in environment.balancers else None
    return {t.instance: t.state for t in job.aws.targets(balancer)} if balancer else {}


def leave(job: Job, environment: Environment, type: str, gone: tuple[Instance, ...]) -> None:
    """Take instances out of the balancer of their type, if it has one."""
    balancer = job.aws.balancer(environment.name, type) if type in environment.balancers else None
    if balancer:
        for instance in gone:
            job.aws.leave(balancer, instance.id, instance.name)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]
