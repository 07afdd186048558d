"""What is going out: commits, files and pull requests between what is live and what would be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.adapters.records import Commit, Live
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


def going(job: Job, live: Sequence[Live], commit: Commit) -> Going:
    """Read what a commit brings to where most hosts are; nothing where git cannot tell."""
    known = Counter(item.commit for item in live if item.commit).most_common(1)
    if not known or known[0][0] == commit.id:
        return Going()
    old = known[0][0]
    try:
        return Going(
            old,
            job.git.log(old, commit.id),
            job.git.log(commit.id, old),
            job.git.changed(old, commit.id),
            job.github.compare_url(old, commit.id),
        )
    except BotError:
        return Going()  # decoration: a plan without its commits is still a plan


def kinds(files: Iterable[str]) -> dict[str, list[str]]:
    """Sort paths by what they are; the first kind that fits has it."""
    found: dict[str, list[str]] = {name: [] for name, _ in KINDS}
    for path in files:
        found[next(name for name, pattern in KINDS if pattern.search(path))].append(path)
    return {name: paths for name, paths in found.items() if paths}


def lines(way: Going) -> list[str]:
    """Say all of it: what would be removed first, then what comes, and what kind of files."""
    told = []
    if way.removed:
        told.append(f"{count(len(way.removed), 'live commit')} would be REMOVED:")
        told += [f"  - {one(commit)}" for commit in way.removed[:SHOWN]]
    if way.coming:
        told.append(f"{count(len(way.coming), 'commit')}:")
        told += [f"  {one(commit)}" for commit in way.coming[:SHOWN]]
        if len(way.coming) > SHOWN:
            told.append(f"  and {len(way.coming) - SHOWN} more")
    if pulls := pull_requests(way.coming):
        told.append(f"pull requests: {listed([f'#{number}' for number in pulls])}")
    sorted_files = kinds(way.files)
    for name in FLAGGED:
        if name in sorted_files:
            told.append(f"{name.upper()}: {listed(sorted_files[name], SHOWN)}")
    if rest := [f"{len(p)} {name}" for name, p in sorted_files.items() if name not in FLAGGED]:
        told.append(f"files: {listed(rest)}")
    if way.url:
        told.append(f"compare: {way.url}")
    return told


def one(commit: Commit) -> str:
    """Return a commit in a line."""
    return f"{commit.short} {commit.subject} ({commit.author})"


def pull_requests(commits: Iterable[Commit]) -> list[int]:
    """Return the numbers of the pull requests that subjects name, as GitHub writes them."""
    found = [PULL.search(commit.subject) for commit in commits]
    return sorted({int(m[1] or m[2]) for m in found if m})
