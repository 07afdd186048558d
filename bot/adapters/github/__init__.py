"""GitHub: what CI says of a commit, its pull requests, and the deployments that are told there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import quote

from bot.adapters.github.client import PAGE, Client, Json, nonsense
from bot.adapters.records import Check, Coming, Deployment, Pull
from bot.errors import Failed

T = TypeVar("T")
SITE = "https://github.com"
HASTE, ASKED, AT_ONCE = 3.0, 10, 5  # seconds; commits whose pull requests are asked for
OK = ("success", "neutral", "skipped")
HINT = "set GITHUB_TOKEN, and [github] repository in the config"


class GitHub:
    """One repository, asked and told by its REST API; `site` is where people look at it."""

    def __init__(self, client: Client, repository: str, site: str = SITE) -> None:
        self.repository, self.site, self._client = repository, site.rstrip("/"), client
        self._at = f"/repos/{quote(repository)}"

    def checks(self, commit: str) -> tuple[Check, ...]:
        """Return what CI says of a commit: its statuses, its check runs, and the suites that go on.

        A run that waits for another one is there only when that has ended; its suite is before.
        """
        what = f"asking GitHub for the checks of {commit[:7]}"
        at = f"{self._at}/commits/{quote(commit, safe='')}"
        statuses = self._client.pages(f"{at}/status", what, "statuses")
        runs = self._client.pages(f"{at}/check-runs", what, "check_runs")
        found = (*_read(statuses, _status, what), *_read(runs, _run, what))
        if any(check.state == "pending" for check in found):
            return found  # that is enough to wait for
        suites = self._client.pages(f"{at}/check-suites", what, "check_suites")
        return (*found, *_read([s for s in suites if _goes_on(s)], _suite, what))

    def head(self, branch: str) -> str:
        """Return the commit of a branch."""
        what = f"asking GitHub for {branch}"
        found = self._client.get(f"{self._at}/commits/heads/{quote(branch)}", what)
        if not isinstance(head := found.get("sha"), str):
            raise nonsense(what)
        return head

    def pulls(self, commit: str) -> tuple[Pull, ...]:
        """Return the pull requests that a commit belongs to."""
        what = f"asking GitHub for the pull requests of {commit[:7]}"
        found = self._client.pages(f"{self._at}/commits/{quote(commit, safe='')}/pulls", what)
        return _read(found, _pull, what)

    def coming(self, old: str, new: str, commits: tuple[str, ...]) -> Coming:
        """Return who wrote what lies between two commits, and the pull requests of the first few.

        Whoever waits for a plan does not wait long for this: HASTE seconds for each answer.
        """
        what = f"asking GitHub who wrote what comes with {new[:7]}"
        hasty = GitHub(self._client.within(HASTE), self.repository, self.site)
        found = hasty._client.get(f"{self._at}/compare/{old}...{new}?per_page={PAGE}", what)
        if not isinstance(rows := found.get("commits"), list):
            raise nonsense(what)
        authors = _read([r["author"] for r in rows if r.get("author")], _author, what)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            pulls = [p for some in pool.map(hasty.pulls, commits[:ASKED]) for p in some]
        return Coming(tuple(dict.fromkeys(authors)), tuple(dict.fromkeys(pulls)))

    def compare_url(self, old: str, new: str) -> str:
        """Return the page that compares two commits."""
        return _compared(self.repository, self.site, old, new)

    def probe(self) -> str:
        """Return the full name of the repository, if the token may read it."""
        found = self._client.get(self._at, f"asking GitHub for {self.repository}")
        return str(found.get("full_name", self.repository))

    # -- deployments -----------------------------------------------------------------------------

    def deployment(self, operation: str, environment: str, commit: str) -> Deployment | None:
        """Return the deployment that was made for an operation before."""
        what = f"asking GitHub for the deployments of {environment}"
        place = f"environment={quote(environment, safe='')}&sha={commit}"
        for one in self._client.pages(f"{self._at}/deployments?{place}", what):
            payload = one.get("payload")
            if isinstance(payload, str):  # as some of its versions hand it back
                payload = _object(payload)
            if isinstance(payload, dict) and payload.get("packlead") == operation:
                [number] = _read([one], lambda row: int(row["id"]), what)
                return Deployment(number, operation, environment, commit)
        return None

    def deploy(
        self, operation: str, environment: str, commit: str, task: str, text: str
    ) -> Deployment:
        """Make the deployment of an operation."""
        told = {
            "ref": commit,
            "task": task,
            "environment": environment,
            "description": text[:140],
            "payload": {"packlead": operation},
            "auto_merge": False,
            "required_contexts": [],  # whether CI said yes was Packlead's own question
            "transient_environment": False,
            "production_environment": False,  # GitHub retires older ones of all others only
        }
        made = self._client.post(
            f"{self._at}/deployments", told, f"telling GitHub of a deployment to {environment}"
        )
        return Deployment(int(made["id"]), operation, environment, commit)

    def states(self, deployment: Deployment) -> tuple[str, ...]:
        """Return what was told of a deployment, newest first."""
        at = f"{self._at}/deployments/{deployment.id}/statuses"
        what = f"asking GitHub for deployment {deployment.id}"
        return tuple(str(s.get("state", "")) for s in self._client.pages(at, what))

    def tell(self, deployment: Deployment, state: str, text: str, url: str = "") -> None:
        """Tell how a deployment stands (in_progress, success, failure); success retires others."""
        told = {
            "state": state,
            "description": text[:140],
            "environment": deployment.environment,
            "auto_inactive": True,
            **({"log_url": url} if url else {}),
        }
        at = f"{self._at}/deployments/{deployment.id}/statuses"
        self._client.post(at, told, f"telling GitHub that deployment {deployment.id} is {state}")


def connect(environ: Mapping[str, str], repository: str, site: str = SITE) -> GitHub | NoGitHub:
    """Return GitHub as the environment and the config have it: GITHUB_TOKEN, GITHUB_API_URL."""
    token = environ.get("GITHUB_TOKEN", "").strip()
    if not token or not repository:
        return NoGitHub(repository, site)
    return GitHub(Client(token, environ.get("GITHUB_API_URL", "").strip()), repository, site)


class NoGitHub:
    """GitHub where no token or no repository is configured: CI cannot be asked."""

    def __init__(self, repository: str = "", site: str = SITE) -> None:
        self.repository, self.site = repository, site

    def probe(self) -> str:
        raise Failed("asking GitHub for the repository: none is configured", HINT)

    def checks(self, commit: str) -> tuple[Check, ...]:
        raise Failed(f"asking GitHub for the checks of {commit[:7]}: none is configured", HINT)

    def coming(self, old: str, new: str, commits: tuple[str, ...]) -> Coming:
        those = f"{len(commits)} commits between {old[:7]} and {new[:7]}"
        raise Failed(f"asking GitHub who wrote {those}: none is configured", HINT)

    def compare_url(self, old: str, new: str) -> str:
        return _compared(self.repository, self.site, old, new)


def _compared(repository: str, site: str, old: str, new: str) -> str:
    return f"{site.rstrip('/')}/{repository}/compare/{old}...{new}" if repository else ""


def _object(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _read(rows: list[Json], read: Callable[[Json], T], what: str) -> tuple[T, ...]:
    try:
        return tuple(map(read, rows))
    except (KeyError, TypeError, ValueError):
        raise nonsense(what) from None


def _author(told: Json) -> tuple[str, str]:
    return str(told["login"]), str(told["id"])


def _pull(told: Json) -> Pull:
    title, url = str(told.get("title") or ""), str(told.get("html_url") or "")
    return Pull(int(told["number"]), title, url)


def _status(told: Json) -> Check:
    state = {"success": "ok", "pending": "pending"}.get(str(told["state"]), "failed")
    return Check(str(told["context"]), state, str(told.get("target_url") or ""))


def _goes_on(suite: Json) -> bool:
    """Tell whether a suite has begun and not ended: GitHub makes one for every app, used or not."""
    return bool(suite.get("latest_check_runs_count")) and suite.get("status") != "completed"


def _suite(told: Json) -> Check:
    return Check(f"the rest of {told['app']['name']}", "pending")


def _run(told: Json) -> Check:
    state = "pending"
    if told["status"] == "completed":
        state = "ok" if told.get("conclusion") in OK else "failed"
    url = told.get("html_url") or told.get("details_url") or ""
    return Check(str(told["name"]), state, str(url))
