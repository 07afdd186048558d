"""The application's git repository: a real bare one, with some history, and verbs to add to it.

`commits` are those of master at the start, oldest first; the fleet starts at `seed`, two behind the
newest. There is a branch feature/logo and a tag v1.0. Before it stands the GitHub-shaped API.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tests.lab import history
from tests.lab.github import GitHub

APP = Path(__file__).resolve().parent / "app"
HOOK = """#!/bin/sh
[ -s pushed-to ] || exit 0
exec {python} -I -S -c '
import http.client, sys
host, path = open("pushed-to").read().split("/", 1)
http.client.HTTPConnection(host, timeout=10).request("POST", "/" + path, sys.stdin.read())
'
"""


class Git:
    """One bare repository below `folder`, and its API at `address`."""

    def __init__(self, address: str, folder: Path) -> None:
        self.path = folder / "git" / f"{history.NAME}.git"
        self.url = str(self.path)
        self.commits: list[str] = []
        self.seed = ""
        self.github = GitHub(address, self.path)
        self._work = folder / "git" / "work"
        self._lock = threading.Lock()  # one work tree

    @property
    def api_url(self) -> str:
        return self.github.url

    @property
    def token(self) -> str:
        return self.github.token

    @property
    def webhook_secret(self) -> str:
        return self.github.webhooks.secret

    @property
    def webhook_url(self) -> str:
        """Where signed webhooks are sent after each push; empty: nowhere."""
        return self.github.webhooks.url

    @webhook_url.setter
    def webhook_url(self, url: str) -> None:
        self.github.webhooks.url = url
        (self.path / "pushed-to").write_text(
            self.github.pushed.removeprefix("http://") if url else ""
        )

    def create(self) -> None:
        """Make the repository and its history; the API is not needed for it."""
        if self.commits:
            return
        shutil.rmtree(self.path.parent, ignore_errors=True)  # of an earlier lab in this folder
        self.path.parent.mkdir(parents=True)
        run("git", "init", "-q", "--bare", "-b", "master", self.path)
        run("git", "init", "-q", "-b", "master", self._work)
        self._git("remote", "add", "origin", self.path)
        shutil.copytree(APP, self._work, dirs_exist_ok=True, ignore=history.ignored)
        now = time.time()
        for step in history.STEPS:
            self.commits.append(
                self._record(step.files, step.message, step.author, now - step.hours * 3600)
            )
            if step.tag:
                self._git("tag", "-a", step.tag, "-m", step.tag)
        self.seed = self.commits[-3]
        side = history.BRANCH
        self._git("checkout", "-q", "-b", side.name, self.commits[-2])
        self._record(side.files, side.message, side.author, now - side.hours * 3600)
        self._git("push", "-q", "origin", "master", side.name, "--tags")
        hook = self.path / "hooks" / "post-receive"
        hook.write_text(HOOK.format(python=sys.executable))
        hook.chmod(0o755)

    def start(self) -> None:
        self.create()
        self.github.start()

    def stop(self) -> None:
        self.github.stop()

    def head(self, ref: str = "master") -> str:
        """Return the commit that a branch or tag stands at."""
        return run("git", "-C", self.path, "rev-parse", f"{ref}^{{commit}}")

    def commit(
        self,
        branch: str,
        files: Mapping[str, str | bytes | None],
        message: str,
        author: str = "ada",
        base: str = "master",
    ) -> str:
        """Push one commit to a branch, made from `base` if it is new; None as content removes."""
        with self._lock:
            self._git("fetch", "-q", "--prune", "origin")
            known = run(
                "git", "-C", self.path, "branch", "--list", "--format=%(refname:short)", branch
            )
            start = f"origin/{branch}" if known else f"origin/{base}"
            self._git("checkout", "-q", "-f", "--detach", start)
            sha = self._record(files, message, author, time.time())
            self._git("push", "-q", "origin", f"HEAD:refs/heads/{branch}")
            return sha

    def branch(self, name: str, commit: str) -> None:
        """Make a branch that stands at a commit."""
        with self._lock:
            self._git("push", "-q", "origin", f"{commit}:refs/heads/{name}")

    def bad_build(self, kind: str) -> str:
        """Return a branch whose newest commit fails: exits, 500, hangs, front, install …"""
        # Made from today's master: an older one would take live commits away, and be asked about.
        branch = f"bad/{kind}-{self.head()[:7]}"
        if not run("git", "-C", self.path, "branch", "--list", branch):
            message, change = history.BAD[kind]
            path = change.path
            old = "" if change.new else run("git", "-C", self.path, "show", f"master:{path}") + "\n"
            self.commit(branch, {path: change.apply(old)}, message, "bob")
        return branch

    def push(self, branch: str = "master") -> None:
        """Send the webhook of a push of this branch's newest commit, as after a `git push`."""
        new = self.head(branch)
        old = run("git", "-C", self.path, "rev-parse", f"{new}^")
        self.github.send_push(old, new, f"refs/heads/{branch}")

    def _record(
        self, files: Mapping[str, str | bytes | None], message: str, author: str, at: float
    ) -> str:
        for name, content in files.items():
            path = self._work / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self._git("add", "-A")
        who = history.AUTHORS[author]
        env = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in (
            ("NAME", who.name), ("EMAIL", who.email), ("DATE", f"{int(at)} +0000"))}  # fmt: skip
        self._git("commit", "-q", "--allow-empty", "-m", message, env=env)
        return self._git("rev-parse", "HEAD")

    def _git(self, *words: str | Path, env: Mapping[str, str] | None = None) -> str:
        return run("git", "-C", self._work, *words, env=env)


def run(*words: str | Path, env: Mapping[str, str] | None = None) -> str:
    """Run git with nobody's own configuration; return what it printed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    ours = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_COMMITTER_NAME": "lab",
        "GIT_COMMITTER_EMAIL": "lab@kennel.example",
    }
    done = subprocess.run(
        [str(w) for w in words], env=kept | ours | dict(env or {}), capture_output=True, text=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout.strip()
