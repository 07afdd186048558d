"""Let old images go: the newest of each master stay, and whatever is still needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.adapters.aws.records import Image, Use
from bot.command import Environment, Keep, command
from bot.errors import BotError, Failed, Refused
from bot.events import Done, Note, Planned, Progress, Step, StepEnded, StepProgress, StepStarted
from bot.job import Job
from bot.store import Release
from bot.words import count, listed

STEP = "prune"
BATCH = 50  # images that are looked at once more, together, before they go


@dataclass(frozen=True)
class Choice:
    """Which images go, which stay and why, and how many more would go if the night were longer."""

    going: tuple[Image, ...]
    staying: tuple[tuple[Image, str], ...]
    more: int = 0


@command(permission="prune")
def prune(
    job: Job,
    environment: Environment,
    *,
    keep: Keep = 3,
    limit: Keep | None = None,
    dry_run: bool = False,
) -> Progress[None]:
    """Deregister old images and their snapshots; the newest three of each master stay.

    What an instance, a launch template, a scaling group or a release that could come back uses
    stays too, and so do images that are young, pending or not Packlead's. --limit is how many go in
    one run; --dry-run only shows the choice.
    """
    rules = job.config.images
    choice = choose(
        images=job.aws.images(environment.name),
        uses=job.aws.uses(),
        kept=kept_releases(job.history.releases(environment.name)),
        keep=keep,
        now=job.now(),
        young=rules.young,
        limit=limit or rules.limit,
    )
    orphans = job.aws.orphans(environment.name)
    if not choice.going and not orphans:
        yield Done(
            f"nothing to prune in {environment.name}: {count(len(choice.staying), 'image')} stay"
        )
        return
    yield Planned(
        f"prune {environment.name}: {count(len(choice.going), 'image')} go, "
        f"{len(choice.staying)} stay"
        + (f", {choice.more} go another night" if choice.more else ""),
        tuple(lines(choice)) + tuple(f"left behind: {s.id} of {s.image}" for s in orphans),
        (Step(STEP, "let old images go"),),
    )
    if dry_run:
        yield Done("a dry run: nothing was changed")
        return
    yield StepStarted(STEP)
    troubles: list[str] = []
    for place, image in enumerate(choice.going):
        if place % BATCH == 0:
            wrong = dict(job.aws.not_ours(choice.going[place : place + BATCH]))
        try:
            if image.id in wrong:
                raise Refused(wrong[image.id])
            job.aws.deregister(image, checked=True)
        except BotError as error:
            troubles.append(error.text)
        yield StepProgress(STEP, image.id, place + 1, len(choice.going))
    for orphan in orphans:
        try:
            job.aws.delete_snapshot(orphan.id)
        except BotError as error:
            troubles.append(error.text)
    yield StepEnded(STEP, "failed" if troubles else "done")
    for trouble in troubles[:15]:
        yield Note(trouble)
    gone = len(choice.going) + len(orphans) - len(troubles)
    if troubles:
        raise Failed(
            f"{gone} of {gone + len(troubles)} images and snapshots are gone",
            "what is left goes the next night",
        )
    yield Done(
        f"{environment.name}: {count(len(choice.going), 'image')} and their snapshots are gone"
    )


def choose(
    *,
    images: tuple[Image, ...],
    uses: tuple[Use, ...],
    kept: frozenset[str],
    keep: int,
    now: float,
    young: float,
    limit: int,
) -> Choice:
    """Choose which images go; times in seconds. Oldest first, and never more than the limit."""
    used = {use.image: use.by for use in uses}
    going: list[Image] = []
    staying: list[tuple[Image, str]] = []
    counted: dict[tuple[str, str], int] = {}
    for image in sorted(images, key=lambda i: (i.created, i.id), reverse=True):
        master = image.environment, image.master
        if image.state == "available":
            counted[master] = counted.get(master, 0) + 1
        if why := _reason(image, used, kept, counted.get(master, 0) <= keep, keep, now - young):
            staying.append((image, why))
        else:
            going.append(image)
    going.reverse()
    return Choice(tuple(going[:limit]), tuple(staying), max(0, len(going) - limit))


def kept_releases(releases: list[Release]) -> frozenset[str]:
    """Return the numbers of the releases whose images stay: the live one, and the one before it.

    Of a commit all of them: after a rollback its image bears the number that it had the first time.
    """
    healthy = [r for r in releases if r.state == "healthy"]
    commits = list(dict.fromkeys(r.commit for r in healthy))[:2]
    return frozenset(str(r.number) for r in healthy if r.commit in commits)


def lines(choice: Choice) -> list[str]:
    """Say what goes, and what stays for another reason than being new."""
    told = [f"go: {i.id} of {i.master}, {i.created[:10]}, {i.commit[:7]}" for i in choice.going]
    reasons: dict[str, list[str]] = {}
    for image, why in choice.staying:
        reasons.setdefault(why, []).append(image.id)
    return told + [f"stay, {why}: {listed(ids, 10)}" for why, ids in reasons.items()]


def _reason(
    image: Image, used: dict[str, str], kept: frozenset[str], newest: bool, keep: int, old: float
) -> str:
    if not (image.environment and image.type and image.master):
        return "not ours"
    if image.id in used:
        return f"used by {used[image.id]}"
    if image.state == "pending":
        return "still being made"
    if datetime.fromisoformat(image.created).timestamp() > old:
        return "young"
    if image.state != "available":
        return ""  # a failed one serves nobody, and counts for nothing
    if newest:
        return f"of the newest {keep}"
    if image.release in kept:
        return f"release {image.release} may come back"
    return ""
