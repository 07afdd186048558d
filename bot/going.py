"""What is going out: commits, files and pull requests between what is live and what would be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.adapters.records import Coming, Commit, Live, Pull
from bot.config import Config
from bot.errors import BotError
from bot.words import count, listed

if TYPE_CHECKING:
    from bot.job import Job

SHOWN = 15  # commits, and files of a kind
PULL = re.compile(r"\(#(\d+)\)|^Merge pull request #(\d+) ")
KINDS = (
    ("migrations", re.compile(r"(^|/)migrations/.+\.py$")),
    (
        "dependencies",
        re.compile(
            r"(^|/)((dev-|test-)?requirements[^/]*\.(txt|in|lock)|pyproject\.toml|setup\.(py|cfg)"
            r"|Pipfile(\.lock)?|poetry\.lock|uv\.lock|package(-lock)?\.json|yarn\.lock)$"
        ),
    ),
    ("tests", re.compile(r"(^|/)(tests?/|test_[^/]+\.py$|conftest\.py$)")),
    ("templates", re.compile(r"(^|/)templates/|\.html?$")),
    ("static files", re.compile(r"(^|/)static/|\.(css|scss|js|ts|svg|png|jpe?g|ico|woff2?)$")),
    ("documentation", re.compile(r"(^|/)docs/|\.(md|rst)$")),
    ("code", re.compile(r"\.py$")),
    ("other files", re.compile(r"")),
)
FLAGGED = ("migrations", "dependencies")


@dataclass(frozen=True)
class Going:
    """The way from one commit to another: what comes, and what would be removed."""

    old: str = ""
    coming: tuple[Commit, ...] = ()
    removed: tuple[Commit, ...] = ()
    files: tuple[str, ...] = ()
    url: str = ""
    pulls: tuple[Pull, ...] = ()
    people: tuple[str, ...] = ()  # who of the config wrote what comes


def going(job: Job, live: Sequence[Live], commit: Commit) -> Going:
    """Read what a commit brings to where most hosts are; nothing where git cannot tell."""
    most = Counter(item.commit for item in live if item.commit).most_common(1)
    if not most or most[0][0] == commit.id:
        return Going()
    old = most[0][0]
    try:
        coming, removed = job.git.log(old, commit.id), job.git.log(commit.id, old)
        files = job.git.changed(old, commit.id)
    except BotError:
        return Going()  # decoration: a plan without its commits is still a plan
    known = more(job, old, commit.id, coming)
    url = job.github.compare_url(old, commit.id)
    wrote = people(job.config, coming, known.authors)
    return Going(old, coming, removed, files, url, known.pulls, wrote)


def more(job: Job, old: str, new: str, coming: Sequence[Commit]) -> Coming:
    """Ask GitHub what git does not know of commits; nothing where it does not answer."""
    if not coming:
        return Coming()
    try:
        return job.github.coming(old, new, tuple(c.id for c in coming))
    except BotError:
        return Coming()


def people(
    config: Config, commits: Iterable[Commit], authors: Iterable[tuple[str, str]]
) -> tuple[str, ...]:
    """Return who of the config wrote commits: by the addresses in them, and as GitHub knows them.

    Never by a name, which anybody may give themselves.
    """
    addresses = {c.email.lower() for c in commits} - {""}
    accounts = {word.lower() for author in authors for word in author} - {""}
    return tuple(
        name
        for name, person in config.people.items()
        if person.github.lower() in accounts or addresses & {a.lower() for a in person.git}
    )


def kinds(files: Iterable[str]) -> dict[str, list[str]]:
    """Sort paths by what they are; the first kind that fits has it."""
    found: dict[str, list[str]] = {name: [] for name, _ in KINDS}
    for path in files:
        found[next(name for name, pattern in KINDS if pattern.search(path))].append(path)
    return {name: paths for name, paths in found.items() if paths}


def lines(way: Going) -> list[str]:
    """Say all of it: what would be removed first, then what must not be missed, then commits."""
    told = []
    if way.removed:
        told.append(f"{count(len(way.removed), 'live commit')} would be REMOVED:")
        told += [f"  - {one(commit)}" for commit in way.removed[:SHOWN]]
    sorted_files = kinds(way.files)
    for name in FLAGGED:
        if name in sorted_files:
            told.append(f"{name.upper()}: {listed(sorted_files[name], SHOWN)}")
    if rest := [f"{name} ({len(p)})" for name, p in sorted_files.items() if name not in FLAGGED]:
        told.append(f"files: {listed(rest)}")
    if way.url:
        told.append(f"compare: {way.url}")
    if pulls := pull_requests(way):
        told.append(f"pull requests: {listed(pulls)}")
    if way.coming:
        told.append(f"{count(len(way.coming), 'commit')}:")
        told += [f"  {one(commit)}" for commit in way.coming[:SHOWN]]
        if len(way.coming) > SHOWN:
            told.append(f"  and {len(way.coming) - SHOWN} more")
    return told


def one(commit: Commit) -> str:
    """Return a commit in a line."""
    return f"{commit.short} {commit.subject} ({commit.author})"


def pull_requests(way: Going) -> list[str]:
    """Return the pull requests: those that GitHub tells of, and those that subjects name."""
    found = [PULL.search(commit.subject) for commit in way.coming]
    titles = {int(m[1] or m[2]): "" for m in found if m} | {p.number: p.title for p in way.pulls}
    return [f"#{number} {titles[number][:80]}".rstrip() for number in sorted(titles)]
