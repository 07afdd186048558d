"""What was deployed to an environment, how each release ended, and which one is live."""

from __future__ import annotations

from bot.adapters.records import Live
from bot.command import Environment, command
from bot.events import Answered, Progress
from bot.job import Job
from bot.store import Release
from bot.words import count, duration, listed

SHOWN = 20


@command(permission="status")
def releases(job: Job, environment: Environment) -> Progress[None]:
    """List an environment's releases, newest first; what is live is asked of the hosts."""
    known = job.history.releases(environment.name)
    fleet = job.aws.fleet(environment.name)
    live = job.hosts.live(tuple(i for i in fleet.instances if i.state == "running"))
    now = job.now()
    rows = zip(known, places(known, live), strict=True)
    lines = [row(r, where, now) for r, where in rows][:SHOWN] + strangers(known, live)
    yield Answered(tuple(lines) or (f"{environment.name} has no release yet",))


def places(known: list[Release], live: tuple[Live, ...]) -> list[str]:
    """Say for each release where it is live; of one commit's releases that is the newest alone."""
    told, seen = [], set[str]()
    for release in known:
        here = [item.host for item in live if item.commit == release.commit]
        if release.commit in seen or not here:
            told.append("")
        elif len(here) == len(live):
            told.append(f"live on {'all ' if len(here) > 1 else ''}{count(len(here), 'host')}")
        else:
            told.append(f"partially live: on {listed(here)}, {len(here)} of {len(live)}")
        seen.add(release.commit)
    return told


def row(release: Release, where: str, now: float) -> str:
    """Return one line: number, commit, what was asked for, by whom, when, how it ended, where."""
    subject = release.subject if len(release.subject) <= 60 else f"{release.subject[:59]}…"
    what = f"{release.number} {release.commit[:7]} {subject}".rstrip()
    ago = f"{duration(now - release.at)} ago"
    parts = [what, release.ref, release.person, ago, release.state, where]
    return " · ".join(filter(None, parts))


def strangers(known: list[Release], live: tuple[Live, ...]) -> list[str]:
    """Say which hosts run what is none of these releases, or cannot tell."""
    ours = {release.commit for release in known}
    by: dict[str, list[str]] = {}
    for item in live:
        if item.commit not in ours:
            runs = f"{item.commit[:7]}, which is none of these" if item.commit else item.trouble
            by.setdefault(runs or "nothing", []).append(item.host)
    return [f"{listed(hosts)}: {what}" for what, hosts in by.items()]
