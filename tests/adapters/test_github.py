"""GitHub as the house sees it: what CI says, deployments, and what is said of no answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bot.adapters.github import GitHub, NoGitHub, connect
from bot.adapters.github.client import Client
from bot.adapters.records import Check, Pull
from bot.errors import Failed
from bot.gate import judge
from tests.lab.git import Git
from tests.lab.history import AUTHORS

TOKEN = "ghp-of-the-test"
COMMIT = "c" * 40


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Git]:
    git = Git("127.0.0.1", tmp_path_factory.mktemp("lab"))
    git.start()
    yield git
    git.stop()


@pytest.fixture
def github(lab: Git) -> Iterator[GitHub]:
    told = {"GITHUB_TOKEN": lab.token, "GITHUB_API_URL": lab.api_url}
    made = connect(told, "lab/kennel", "https://github.example")
    assert isinstance(made, GitHub)
    yield made
    lab.github.calm()


class Answers:
    """A server that says what a test wants: status, headers and body, one for each request."""

    def __init__(self) -> None:
        self.said: list[tuple[int, dict[str, str], bytes]] = []
        self.heard: list[tuple[str, str]] = []
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answers.heard.append((self.path, self.headers.get("Authorization", "")))
                status, headers, body = answers.said.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def answers() -> Iterator[Answers]:
    made = Answers()
    yield made
    made.stop()


def test_statuses_and_check_runs_are_one_list(lab: Git, github: GitHub):
    commit = lab.commits[-1]
    lab.github.set_status(commit, "success", "ci/tests")
    lab.github.set_status(commit, "error", "ci/lint")
    lab.github.set_status(commit, "pending", "ci/slow")
    for conclusion in ("success", "neutral", "skipped", "failure", "timed_out", "cancelled"):
        lab.github.set_check(commit, conclusion, conclusion)
    lab.github.set_check(commit, "build")
    states = {check.name: check.state for check in github.checks(commit)}
    assert states == {
        "ci/tests": "ok", "ci/lint": "failed", "ci/slow": "pending", "build": "pending",
        "success": "ok", "neutral": "ok", "skipped": "ok",
        "failure": "failed", "timed_out": "failed", "cancelled": "failed",
    }  # fmt: skip
    assert Check("ci/lint", "failed", "https://ci.kennel.example/ci/lint") in github.checks(commit)


def test_what_has_not_begun_yet_is_told_by_its_suite(lab: Git, github: GitHub):
    """A job that `needs` another one has no check run until that has ended."""
    commit = lab.commits[-3]
    lab.github.set_check(commit, "lint", "success")
    lab.github.more_to_come(commit)
    assert judge(github.checks(commit), ()).text == "the rest of GitHub Actions still runs"
    assert judge(github.checks(commit), ("lint",)).state == "ok", "nobody asked for the rest"
    lab.github.set_check(commit, "test", "success")
    lab.github.more_to_come(commit, more=False)
    assert judge(github.checks(commit), ()).text == "2 checks passed"


def test_the_head_of_a_branch(lab: Git, github: GitHub):
    assert github.head("master") == lab.head("master")
    with pytest.raises(Failed, match="asking GitHub for no/such: it answers 422"):
        github.head("no/such")


def test_nobody_said_anything(lab: Git, github: GitHub):
    assert github.checks(lab.commits[0]) == ()


def test_more_than_one_page(lab: Git, github: GitHub):
    commit = lab.commits[-2]
    for number in range(230):
        lab.github.set_check(commit, f"build {number}", "success")
    lab.github.set_check(commit, "the last one", "failure")
    checks = github.checks(commit)
    assert len(checks) == 231
    assert [check.name for check in checks if check.state == "failed"] == ["the last one"]


def test_pull_requests_and_the_page_that_compares(lab: Git, github: GitHub):
    commit = lab.commits[-1]
    lab.github.pull_requests[commit] = [
        {"number": 12, "title": "Open at nine", "html_url": "https://github.example/12"}
    ]
    assert github.pulls(commit) == (Pull(12, "Open at nine", "https://github.example/12"),)
    assert github.pulls(lab.commits[0]) == ()
    assert github.compare_url("a" * 40, commit) == (
        f"https://github.example/lab/kennel/compare/{'a' * 40}...{commit}"
    )


def test_who_wrote_what_comes(lab: Git, github: GitHub):
    old, new = lab.commits[0], lab.head()
    lab.github.pull_requests[new] = [{"number": 12, "title": "Open", "html_url": "https://x/12"}]
    told = github.coming(old, new, (new, lab.commits[1]))
    assert ("bob", str(AUTHORS["bob"].id)) in told.authors
    assert told.pulls == (Pull(12, "Open", "https://x/12"),)
    lab.github.fault("nonsense")
    with pytest.raises(Failed, match="asking GitHub who wrote what comes with"):
        github.coming(old, new, ())


def test_a_deployment_is_found_again_by_its_operation(lab: Git, github: GitHub):
    commit = lab.head()
    first = github.deploy("push:prod:1:2", "prod", commit, "deploy", "#1 deploy prod master")
    github.tell(first, "in_progress", "it begins")
    github.tell(first, "success", "x" * 500, "https://packlead.example/operations/1")
    assert github.deployment("push:prod:1:2", "prod", commit) == first
    assert github.deployment("push:prod:2:3", "prod", commit) is None
    assert github.states(first) == ("success", "in_progress")
    second = github.deploy("push:prod:2:3", "prod", commit, "rollback", "#2 rollback prod")
    github.tell(second, "success", "")
    assert github.states(first)[0] == "inactive", "the newer one has taken its place"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("429", "it limits how often it is asked, again in 1 s"),
        ("503", "it is out of order (503)"),
        ("nonsense", "what it answers makes no sense"),
    ],
)
def test_it_misbehaves(lab: Git, github: GitHub, fault: str, said: str):
    lab.github.fault(fault)
    with pytest.raises(Failed) as told:
        github.checks(COMMIT)
    assert told.value.text == f"asking GitHub for the checks of ccccccc: {said}"
    assert told.value.hint


def test_it_is_slow(lab: Git):
    lab.github.fault("slow")
    slow = GitHub(Client(lab.token, lab.api_url, seconds=0.2), "lab/kennel")
    with pytest.raises(Failed, match=r"of ccccccc: no answer in 0.2 s"):
        slow.checks(COMMIT)
    lab.github.calm()


def test_it_is_away():
    away = GitHub(Client(TOKEN, "http://127.0.0.1:9"), "lab/kennel")
    with pytest.raises(Failed, match="it cannot be reached: Connection refused"):
        away.pulls(COMMIT)


def test_a_token_that_it_does_not_take(lab: Git):
    wrong = GitHub(Client("ghp-wrong", lab.api_url), "lab/kennel")
    with pytest.raises(Failed, match="does not take the token") as told:
        wrong.probe()
    assert "ghp-wrong" not in str(told.value)


def test_none_is_configured():
    for environ, repository in (({}, "lab/kennel"), ({"GITHUB_TOKEN": TOKEN}, "")):
        none = connect(environ, repository)
        assert isinstance(none, NoGitHub)
        with pytest.raises(Failed, match="none is configured"):
            none.checks(COMMIT)
    assert NoGitHub("lab/kennel").compare_url("a", "b").endswith("/lab/kennel/compare/a...b")
    assert NoGitHub().compare_url("a", "b") == ""


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, b"{}", "again in 1 s"),
        (403, {"Retry-After": "70"}, b"{}", "again in 70 s"),
        (429, {"X-RateLimit-Reset": "soon"}, b"{}", "again in 60 s"),
        (403, {"X-RateLimit-Remaining": "9"}, b"{}", "the token may not"),
        (404, {}, b'{"message": "Not Found"}', "there is no such thing (404)"),
        (422, {}, b'{"message": "No commit found"}', "it answers 422, No commit found"),
        (422, {}, b"<html>", "it answers 422"),
        (200, {}, b"[]", "makes no sense"),
        (200, {}, b'{"statuses": {"state": "success"}}', "makes no sense"),
        (200, {}, b'{"statuses": ["success"]}', "makes no sense"),
        (200, {}, b"\xff\xfe", "makes no sense"),
        (200, {}, b"", "makes no sense"),
    ],
)
def test_answers_that_are_none(
    answers: Answers, status: int, headers: dict[str, str], body: bytes, said: str
):
    answers.said.append((status, headers, body))
    with pytest.raises(Failed) as told:
        GitHub(Client(TOKEN, answers.url), "lab/kennel").checks(COMMIT)
    assert said in told.value.text
    assert TOKEN not in str(told.value)


@pytest.mark.parametrize("row", [{}, {"state": None}, {"context": "ci/tests"}])
def test_rows_that_are_none(answers: Answers, row: dict[str, str]):
    answers.said.append((200, {}, json.dumps({"statuses": [row]}).encode()))
    answers.said.append((200, {}, json.dumps({"check_runs": []}).encode()))
    with pytest.raises(Failed, match="makes no sense"):
        GitHub(Client(TOKEN, answers.url), "lab/kennel").checks(COMMIT)


def test_the_token_does_not_follow_a_redirect(answers: Answers):
    answers.said.append((301, {"Location": f"{answers.url}/elsewhere"}, b""))
    with pytest.raises(Failed, match="another name by now"):
        GitHub(Client(TOKEN, answers.url), "lab/kennel").probe()
    assert [path for path, _ in answers.heard] == ["/repos/lab/kennel"]


def test_a_list_that_never_ends(answers: Answers):
    page = json.dumps([{"number": n} for n in range(100)]).encode()
    answers.said += [(200, {}, page)] * 40
    with pytest.raises(Failed, match="more than 2000"):
        GitHub(Client(TOKEN, answers.url), "lab/kennel").pulls(COMMIT)
