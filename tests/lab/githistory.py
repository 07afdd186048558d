"""Read a repository in the shapes of GitHub's API: a commit, a comparison, a push."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

from tests.lab import history

Json = dict[str, Any]
NOTHING = "0" * 40
FULL = f"{history.OWNER}/{history.NAME}"
HOME = "https://github.example"
SITE = f"{HOME}/{FULL}"
# One record a commit, fields apart by characters that no commit holds.
FORMAT = "%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%aI%x1f%cn%x1f%ce%x1f%cI%x1f%B%x1e"
STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "T": "changed"}


class NotThere(Exception):
    """There is no such commit."""


class Repository:
    """A bare repository, read by git itself."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def about(self) -> Json:
        return {
            "full_name": FULL,
            "name": history.NAME,
            "owner": {"login": history.OWNER},
            "default_branch": "master",
            "html_url": SITE,
            "clone_url": str(self._path),
        }

    def resolve(self, ref: str) -> str:
        """Return the commit of a branch, tag or hash."""
        try:
            return self._git("rev-parse", "--verify", "-q", "--end-of-options", f"{ref}^{{commit}}")
        except subprocess.CalledProcessError:
            raise NotThere(ref) from None

    def commit(self, ref: str, files: bool = False) -> Json:
        sha = self.resolve(ref)
        told = self._commits("-1", sha)[0]
        if files:
            told["files"] = self._files("--root", sha)
        return told

    def compare(self, base: str, head: str) -> Json:
        """Tell what `head` has that `base` has not, as GitHub's three dots do."""
        old, new = self.resolve(base), self.resolve(head)
        behind, ahead = map(
            int, self._git("rev-list", "--left-right", "--count", f"{old}...{new}").split()
        )
        middle = self._git("merge-base", old, new)
        status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
        return {
            "status": status.get((ahead > 0, behind > 0), "diverged"),
            "ahead_by": ahead,
            "behind_by": behind,
            "total_commits": ahead,
            "base_commit": self._commits("-1", old)[0],
            "merge_base_commit": self._commits("-1", middle)[0],
            "commits": self._commits("--reverse", f"{old}..{new}"),
            "files": self._files(middle, new),
            "html_url": f"{SITE}/compare/{base}...{head}",
        }

    def push_event(self, old: str, new: str, ref: str) -> Json:
        """Return the payload of a push webhook."""
        gone = new == NOTHING
        span = [new, "--not", "--exclude", ref, "--all"] if old == NOTHING else [f"{old}..{new}"]
        commits = [] if gone else [_short(c) for c in self._commits("--reverse", *span)]
        head = None if gone else _short(self._commits("-1", new)[0])
        pusher = head["committer"] if head else {"name": "lab", "email": "", "username": ""}
        forced = not gone and old != NOTHING and self._git("merge-base", old, new) != old
        return {
            "ref": ref,
            "before": old,
            "after": new,
            "created": old == NOTHING,
            "deleted": gone,
            "forced": forced,
            "compare": f"{SITE}/compare/{old[:12]}...{new[:12]}",
            "commits": commits,
            "head_commit": head,
            "repository": {**self.about(), "pushed_at": int(time.time())},
            "pusher": {"name": pusher["username"], "email": pusher["email"]},
            "sender": _account(pusher["username"]),
        }

    def _commits(self, *span: str) -> list[Json]:
        records = self._git("log", f"--format={FORMAT}", *span).split("\x1e")
        return [_told(r.strip("\n").split("\x1f")) for r in records if r.strip()]

    def _files(self, *span: str) -> list[Json]:
        lines = ("diff-tree", "-r", "--no-commit-id", "-M")
        counts = self._git(*lines, "--numstat", "-z", "--no-renames", *span).split("\0")
        states = self._git(*lines, "--name-status", "-z", "--no-renames", *span).split("\0")
        status = dict(zip(states[1::2], states[0::2], strict=False))
        told = []
        for line in filter(None, counts):
            added, removed, name = line.split("\t", 2)
            plus, minus = (0 if n == "-" else int(n) for n in (added, removed))
            told.append(
                {
                    "filename": name,
                    "status": STATUS.get(status.get(name, "M"), "modified"),
                    "additions": plus,
                    "deletions": minus,
                    "changes": plus + minus,
                }
            )
        return told

    def _git(self, *words: str) -> str:
        line = ["git", "-C", str(self._path), *words]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        return done.stdout.strip()


def _told(fields: list[str]) -> Json:
    sha, tree, parents, name, email, date, committer, committer_email, committed, message = fields
    return {
        "sha": sha,
        "html_url": f"{SITE}/commit/{sha}",
        "commit": {
            "message": message.strip("\n"),
            "tree": {"sha": tree},
            "author": {"name": name, "email": email, "date": date},
            "committer": {"name": committer, "email": committer_email, "date": committed},
        },
        "author": _user(email),
        "committer": _user(committer_email),
        "parents": [{"sha": p} for p in parents.split()],
    }


def _user(email: str) -> Json | None:
    found = next((a for a in history.AUTHORS.values() if a.email == email), None)
    return _account(found.login) if found else None


def _account(login: str) -> Json:
    ids = [author.id for author in history.AUTHORS.values() if author.login == login]
    return {"login": login, "id": ids[0] if ids else 9999, "type": "User"}


def _short(commit: Json) -> Json:
    def who(role: str) -> Json:
        known = commit[role] or {"login": ""}
        return {**commit["commit"][role], "username": known["login"]}

    return {
        "id": commit["sha"],
        "message": commit["commit"]["message"],
        "timestamp": commit["commit"]["committer"]["date"],
        "url": commit["html_url"],
        "author": who("author"),
        "committer": who("committer"),
    }
