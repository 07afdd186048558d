"""The application's repository: what a ref means, and which commits lie between two.

A person's ref goes to git only behind --end-of-options, and is resolved to a 40-hex commit at once.
"""

from __future__ import annotations

import fcntl
import fnmatch
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bot import masking
from bot.adapters.records import Commit
from bot.errors import Failed, Misunderstood, Refused, did_you_mean

WHOLE = re.compile(r"[0-9a-f]{40}")
HEX = re.compile(r"[0-9a-f]{7,40}")
FORMAT = "%H%x1f%an%x1f%ae%x1f%s"
# A credential helper of the machine may read these; none of the other secrets is git's business.
CREDENTIALS = ("GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
MOST = 200  # commits that `log` returns


class Git:
    """One repository. A bare mirror of its commits, without files, is kept beside the database."""

    def __init__(self, repository: str, mirror: Path, seconds: float = 60.0) -> None:
        self.repository, self.mirror, self.seconds = repository, mirror, seconds

    def resolve(self, ref: str, branches: tuple[str, ...] = ("*",)) -> Commit:
        """Return the commit of a branch, a tag or a (short) commit.

        `branches` are shell patterns of what may be deployed: a branch must match one, a tag or a
        commit must lie on a branch that does. Raises Misunderstood, Refused or Failed.
        """
        names = {
            f"refs/heads/{ref}": "branch",
            f"refs/tags/{ref}^{{}}": "tag",
            f"refs/tags/{ref}": "tag",
        }
        # A whole commit is that commit, whatever somebody has given its name to.
        found = {} if WHOLE.fullmatch(ref) else self._remote(*names)
        commit = self._whole(ref) if HEX.fullmatch(ref) else ""
        for name, kind in names.items():
            if name in found:
                if commit and commit != found[name]:
                    raise Misunderstood(
                        f'"{ref}" is a {kind}, and the beginning of a commit', f"deploy {commit}?"
                    )
                if kind == "branch":
                    _allowed(ref, (ref,), branches)
                return self._described(found[name], ref, branches if kind == "tag" else ("*",))
        if commit:
            return self._described(commit, ref, branches)
        known = self.refs()
        raise Misunderstood(
            f'the repository has no branch, tag or commit "{ref}"',
            did_you_mean(ref, known) or f"it has {', '.join(sorted(known)[:10])}",
        )

    def _whole(self, short: str) -> str:
        """Return the whole commit that begins so; nothing where there is none, or several."""
        self._fetch()
        # By objects and not by names: a ref that is called so would be taken for it.
        there = self._told("rev-parse", f"--disambiguate={short}").split()
        found = [id for id in there if self._git("cat-file", "-t", id).stdout == "commit\n"]
        return found[0] if len(found) == 1 else ""

    def refs(self) -> list[str]:
        """Return the names of all branches and tags."""
        return [name.split("/", 2)[2] for name in self._remote() if not name.endswith("^{}")]

    def log(self, old: str, new: str) -> tuple[Commit, ...]:
        """Return the commits that `new` has and `old` has not, newest first, up to MOST."""
        self._have(old, new)
        told = self._told(
            "log", f"--max-count={MOST}", f"--format={FORMAT}", "--end-of-options", f"{old}..{new}"
        )
        return tuple(_commit(line) for line in told.split("\n") if line)

    def changed(self, old: str, new: str, only: str = "") -> tuple[str, ...]:
        """Return the paths of the files that differ between two commits; `only` "A": came anew."""
        self._have(old, new)
        told = self._told(
            "diff-tree", "-r", "-z", "--name-only", "--no-renames", f"--diff-filter={only}",
            "--end-of-options", old, new,
        )  # fmt: skip
        return tuple(filter(None, told.split("\0")))

    def _have(self, *commits: str) -> None:
        for commit in commits:
            if not re.fullmatch(r"[0-9a-f]{40}", commit):
                raise Failed(f"reading commits: {commit!r} is not a commit")
            if self._git("cat-file", "-e", f"{commit}^{{commit}}").returncode:
                self._fetch()

    def _described(self, id: str, ref: str, branches: tuple[str, ...]) -> Commit:
        try:
            if self._git("cat-file", "-e", f"{id}^{{commit}}").returncode:
                self._fetch()
            one = _commit(self._told("log", "--max-count=1", f"--format={FORMAT}", id))
        except Failed:
            if branches != ("*",):
                raise  # what may be deployed here cannot be judged without the history
            return Commit(id, ref)
        if "*" not in branches:
            on = self._told("branch", "--contains", id, "--format=%(refname:short)").split()
            _allowed(ref, on, branches)
        return replace(one, ref=ref)

    def _remote(self, *names: str) -> dict[str, str]:
        which = ["--heads", "--tags"] if not names else []
        told = self._said(["git", "ls-remote", *which, "--end-of-options", self.repository, *names])
        rows = (line.partition("\t") for line in told.split("\n"))
        return {name: id for id, tab, name in rows if tab}

    def _fetch(self) -> None:
        self.mirror.mkdir(parents=True, exist_ok=True)
        with (self.mirror / "packlead.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (self.mirror / "HEAD").exists():
                self._said(
                    ["git", "init", "--quiet", "--bare", "--end-of-options", str(self.mirror)]
                )
            self._told(
                "fetch", "--quiet", "--prune", "--filter=tree:0", "--end-of-options",
                self.repository, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*",
            )  # fmt: skip

    def _git(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run(["git", "--git-dir", str(self.mirror), *words])

    def _told(self, *words: str) -> str:
        return self._said(["git", "--git-dir", str(self.mirror), *words])

    def _said(self, argv: Sequence[str]) -> str:
        ran = self._run(argv)
        if ran.returncode:
            lines = [line for line in ran.stderr.splitlines() if line.strip()] or [
                "it says nothing"
            ]
            cause = next(
                (line for line in lines if line.startswith(("fatal:", "ERROR"))), lines[-1]
            )
            raise Failed(
                f"reading the repository {_public(self.repository)}: {cause[:300]}",
                "nothing was changed; see that the bot's machine can reach it: packlead check",
            )
        return ran.stdout

    def _run(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        environment = masking.without(kept=CREDENTIALS) | {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "https:ssh:file:http",
            "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
            "LC_ALL": "C",
        }
        try:
            ran = subprocess.run(
                argv, capture_output=True, check=False,
                timeout=self.seconds, env=environment, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failed(
                f"reading the repository {_public(self.repository)}: "
                f"no answer in {self.seconds:.0f} s",
                "nothing was changed; say it again",
            ) from None
        # Not as text: what people name branches and commits may hold other line ends than git's.
        out, err = (data.decode(errors="replace") for data in (ran.stdout, ran.stderr))
        return subprocess.CompletedProcess(ran.args, ran.returncode, out, err)


def _allowed(ref: str, on: Sequence[str], patterns: tuple[str, ...]) -> None:
    if not any(fnmatch.fnmatchcase(branch, p) for branch in on for p in patterns):
        raise Refused(
            f'"{ref}" may not be deployed here: it is not on {" or ".join(patterns)}',
            "the environment's `allow` in the config says which branches may",
        )


def _commit(line: str) -> Commit:
    id, author, email, subject = line.strip("\n").split("\x1f", 3)
    return Commit(id, "", subject, author, email)


def _public(url: str) -> str:
    """Return an address without the password that may stand in it."""
    return re.sub(r"//[^/@]*@", "//", url)
