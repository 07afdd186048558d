"""The lab's repository and the GitHub-shaped API before it."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab import history
from tests.lab.git import Git
from tests.lab.testing import HERE, Quiet, serve
from tests.waiting import until


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Git]:
    git = Git(HERE, tmp_path_factory.mktemp("git"))
    git.start()
    yield git
    git.stop()


def test_the_fleet_starts_two_commits_behind_master(git: Git) -> None:
    told = subprocess.run(["git", "ls-remote", git.url], capture_output=True, text=True, check=True)
    refs = {ref: sha for sha, ref in map(str.split, told.stdout.splitlines())}
    assert refs["refs/heads/master"] == git.commits[-1]
    assert refs["refs/tags/v1.0^{}"] == git.seed == git.commits[-3]
    assert "refs/heads/feature/logo" in refs


@pytest.mark.parametrize("kind", history.BAD)
def test_a_bad_build_is_one_commit_on_top_of_master(git: Git, kind: str) -> None:
    told = _github(git, f"compare/{git.commits[-1]}...{git.bad_build(kind)}")
    assert (told["status"], told["ahead_by"], len(told["files"])) == ("ahead", 1, 1)


def test_github_tells_commits_statuses_and_checks(git: Git) -> None:
    sha = git.commits[-1]
    assert _github(git, "commits/master")["author"]["login"] == "noor-h"
    assert _github(git, "commits/feature/logo/status")["state"] == "pending"
    git.github.set_status(sha, "success")
    git.github.set_check(sha, "unit")
    assert _github(git, "commits/master/status")["state"] == "success"
    assert _github(git, f"commits/{sha}/check-runs")["check_runs"][0]["status"] == "in_progress"
    files = _github(git, "compare/v1.0...master")["files"]
    assert {"filename": "pages/migrations/0002_author.py", "status": "added"}.items() <= (
        files[1].items()
    )


def test_github_refuses_as_github_does(git: Git) -> None:
    assert _status(lambda: _github(git, "commits/nowhere")) == 422
    assert _status(lambda: _github(git, "commits/master", token="wrong")) == 401
    git.github.fault("503")
    assert _status(lambda: _github(git, "commits/master")) == 503
    assert _github(git, "commits/master")["sha"] == git.head()


def test_github_keeps_deployments(git: Git) -> None:
    made = _github(git, "deployments", body={"ref": "master", "environment": "prod"})
    path = f"deployments/{made['id']}/statuses"
    _github(git, path, body={"state": "in_progress", "log_url": "http://log.example"})
    assert [s["state"] for s in _github(git, path)] == ["in_progress"]
    assert _status(lambda: _github(git, path, body={"state": "well"})) == 422


def test_a_push_sends_a_signed_webhook(git: Git) -> None:
    got: list[tuple[dict[str, str], bytes]] = []

    class Listener(Quiet):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers), body))
            self.answer(b"", 202)

    with serve(Listener) as port:
        git.webhook_url = f"http://{HERE}:{port}/webhooks/github"
        sha = git.commit("topic/one", {"README.md": "new\n"}, "Say something new", "eve")
        until(lambda: bool(git.github.webhooks.deliveries))
        git.webhook_url = ""
    headers, body = got[0]
    signature = hmac.new(git.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={signature}"
    event = json.loads(body)
    assert (event["ref"], event["after"]) == ("refs/heads/topic/one", sha)
    assert [c["author"]["username"] for c in event["commits"]] == ["eve"]


def _github(git: Git, path: str, body: Any = None, token: str = "") -> Any:
    request = urllib.request.Request(
        f"{git.api_url}/repos/lab/kennel/{path}",
        json.dumps(body).encode() if body else None,
        {"Authorization": f"Bearer {token or git.token}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def _status(ask: Callable[[], object]) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask()
    return caught.value.code
