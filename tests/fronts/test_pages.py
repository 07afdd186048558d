"""The pages by hand: who may look, what they are told, and that nothing in them acts."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bot.config import Config
from bot.events import (
    Answered,
    Done,
    HostReport,
    Output,
    Planned,
    Printed,
    Question,
    Step,
    StepEnded,
    StepStarted,
    Stopped,
)
from bot.links import LIFE, Links
from bot.store import Operation, Store
from tests.fronts.conftest import Worker
from tests.fronts.served import Served
from tests.lab.slack import Slack

KEY = b"k" * 40
FAR = {"X-Forwarded-For": "203.0.113.9"}  # as a proxy on this machine says it
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)> & \" ' {{ 7*7 }}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'packlead.db'}", key=KEY)
    yield store
    store.close()


@pytest.fixture
def config(config: Config) -> Config:
    return config.model_copy(update={"url": "https://packlead.example.org"})


@pytest.fixture
def served(config: Config, store: Store) -> Iterator[Served]:
    with Served(config, store) as served:
        yield served


@pytest.fixture
def here(config: Config, store: Store) -> Iterator[Served]:
    """People reach the pages on this machine only."""
    with Served(config.model_copy(update={"url": ""}), store) as served:
        yield served


@pytest.fixture
def links(store: Store) -> Links:
    return Links(KEY, "https://packlead.example.org", store.now)


class Answer:
    def __init__(self, given: http.client.HTTPResponse) -> None:
        self.status, self.headers = given.status, given.headers
        self.body = given.read().decode()


def get(served: Served, path: str, headers: dict[str, str] | None = None, method="GET") -> Answer:
    parts = urlsplit(served.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        connection.request(method, path, headers=headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def path_of(link: str) -> str:
    return link.removeprefix("https://packlead.example.org")


def begun(store: Store, line: str = "deploy prod master", **more: object) -> Operation:
    environment = [*line.split(), ""][1]
    operation, _ = store.submit(
        line + str(more), line=line, command=line.split()[0], environment=environment,
        person="ada", front="slack", **{"exclusive": True, **more},
    )  # fmt: skip
    store.begin(operation.id)
    return operation


def told(stream: str) -> list[dict]:
    found = re.findall(r"^data: (\[.*)$", stream, re.MULTILINE)
    return [entry for data in found for entry in json.loads(data)]


# -- who may look --------------------------------------------------------------------------------


def test_whoever_sits_at_this_machine_needs_no_link(here: Served):
    answer = get(here, "/")
    assert answer.status == 200 and "Environments" in answer.body
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        FAR,
        {"Forwarded": "for=203.0.113.9"},
        {"X-Real-IP": "203.0.113.9"},
        {"Host": "rebound.example.org"},
        {"Host": "localhost.example.org:80"},
        {"Host": "127.0.0.1.example.org"},
        {"Host": "localhost"},  # as a visitor of a proxy may say who passes it on
        {"Host": "127.0.0.1"},
        {},
    ],
)
def test_nobody_else_comes_in_without_one(served: Served, store: Store, headers: dict[str, str]):
    begun(store)
    for path in ("/", "/news", "/operations/1", "/operations/1/events", "/operations/1/log.txt"):
        answer = get(served, path, headers)
        assert answer.status == 403, path
        assert "<code>/board</code>" in answer.body and "deploy prod" not in answer.body


def test_an_answer_opens_with_no_board(served: Served, links: Links, store: Store):
    """It was for who had the right to ask: `config` may be more than `status`."""
    asked = begun(store, "config prod", exclusive=False)
    store.end(asked.id, "done", Answered(("TWITTER_KEY  version 7",)))
    path = f"/operations/{asked.number}"
    kept = FAR | {"Cookie": f"packlead_board={links.board(['prod']).partition('pass=')[2]}"}
    for page in (path, f"{path}/log.txt", f"{path}/events"):
        assert get(served, page, kept).status == 404, page
    own = FAR | {"Cookie": f"packlead_log={links.log(asked.number, store.now()).partition('=')[2]}"}
    assert "version 7" in get(served, f"{path}/log.txt", own).body


def test_a_pass_of_other_letters_is_none(served: Served):
    odd = "%C3%A9" * 43
    assert get(served, f"/?pass=1234567890.all.{odd}", FAR).status == 403


def test_a_link_opens_the_board_and_leaves_a_cookie(served: Served, links: Links, store: Store):
    begun(store)
    answer = get(served, path_of(links.board()), FAR)
    assert answer.status == 200 and "deploy prod master" in answer.body
    cookie = answer.headers["Set-Cookie"]
    for part in ("packlead_board=", "HttpOnly", "SameSite=Lax", "Secure", "Path=/;"):
        assert part in cookie + ";", f"{part} is not in {cookie}"
    life = int(re.findall(r"Max-Age=(\d+)", cookie)[0])
    assert LIFE - 60 < life <= LIFE
    kept = FAR | {"Cookie": cookie.partition(";")[0]}
    for path in ("/", "/operations/1", "/operations/1/log.txt"):
        assert get(served, path, kept).status == 200, path


def test_a_link_to_a_log_opens_that_log_alone(served: Served, links: Links, store: Store):
    first, second = begun(store), begun(store, "deploy puppystream master")
    answer = get(served, path_of(links.log(first.number, store.now())), FAR)
    assert answer.status == 200 and "Path=/operations/1" in answer.headers["Set-Cookie"]
    kept = FAR | {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    assert get(served, "/operations/1", kept).status == 200
    assert get(served, f"/operations/{second.number}", kept).status == 404
    assert get(served, "/", kept).status == 403
    assert 'href="/"' not in answer.body


def test_of_two_cookies_the_one_for_this_page_counts(served: Served, links: Links, store: Store):
    number = begun(store, "deploy prod master").number
    log = links.log(number, store.now()).partition("pass=")[2]
    other = links.board(["puppystream"]).partition("pass=")[2]
    both = FAR | {"Cookie": f"packlead_board={other}; packlead_log={log}"}
    assert get(served, f"/operations/{number}", both).status == 200
    assert "deploy prod" not in get(served, "/", both).body


def test_a_link_for_one_environment_shows_no_other(served: Served, links: Links, store: Store):
    begun(store, "deploy prod secret-branch")
    begun(store, "deploy puppystream master")
    begun(store, "status", exclusive=False)
    link = path_of(links.board(["puppystream"]))
    answer = get(served, link, FAR)
    assert "secret-branch" not in answer.body and "deploy puppystream master" in answer.body
    kept = FAR | {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    assert [get(served, f"/operations/{n}", kept).status for n in (1, 2, 3)] == [404, 200, 404]


def test_what_was_said_to_one_person_opens_with_their_own_link(
    served: Served, links: Links, store: Store
):
    shell = begun(store, "shell prod", audience={"kind": "slack", "direct": True, "user": "U0ADA"})
    board = path_of(links.board()).replace("/?", f"/operations/{shell.number}?")
    assert get(served, board, FAR).status == 404
    assert get(served, path_of(links.log(shell.number, store.now())), FAR).status == 200


@pytest.mark.parametrize("wrong", ["expired", "forged", "junk"])
def test_a_link_that_is_no_good_says_how_to_get_another(
    served: Served, links: Links, store: Store, wrong: str
):
    begun(store)
    link = {
        "expired": path_of(links.log(1, store.now() - LIFE - 1)),
        "forged": path_of(Links(b"l" * 40, links.url).board()),
        "junk": "/?pass=%00%ff<script>",
    }[wrong]
    answer = get(served, link, FAR)
    assert answer.status == 403 and "<code>/board</code>" in answer.body
    assert ("expired" in answer.body) == (wrong == "expired")
    assert "Set-Cookie" not in answer.headers and "<script>" not in answer.body


def test_nothing_can_be_done_there(served: Served):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert get(served, "/", method=method).status == 405
        assert get(served, "/operations/1", method=method).status == 405


def test_every_answer_is_guarded_by_its_headers(served: Served, store: Store):
    begun(store)
    store.end(store.history()[0].id, "done", Done("well"))
    for path, headers in (
        ("/", {}), ("/", FAR), ("/operations/1", {}), ("/operations/1/events", {}),
        ("/operations/1/log.txt", {}), ("/operations/99", {}), ("/static/log.js", {}),
    ):  # fmt: skip
        answer = get(served, path, headers)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"


def test_pages_that_are_not_there(here: Served):
    for path in ("/operations/99", "/operations/x", "/static/../pages.py", "/static/x", "/x"):
        assert get(here, path).status == 404, path


# -- what they are told --------------------------------------------------------------------------


def test_what_others_wrote_stays_text(here: Served, store: Store):
    operation = begun(store, f"deploy prod {EVIL}")
    store.releases.begin("prod", operation.id, "a" * 40, EVIL, EVIL, EVIL)
    store.releases.end(operation.id, "healthy")
    store.append(operation.id, "o", Output(EVIL, EVIL, EVIL))
    store.ask(operation.id, Question(EVIL, "t", (EVIL,), True, (EVIL,)))
    for path in ("/", f"/operations/{operation.number}"):
        body = get(here, path).body
        assert "<script>alert" not in body and "<img" not in body
        assert "&#39; {{ 7*7 }}" in body and "&#39; 49" not in body  # 49 alone may be of a time
        assert "&lt;script&gt;alert(1)" in body
        assert re.findall(r"<script(?! type=\"module\" src=\"/static/)", body) == []
        assert " style=" not in body and " onclick=" not in body


def test_the_log_comes_as_events_and_goes_on_where_it_stopped(here: Served, store: Store):
    operation = begun(store)
    store.append(operation.id, "p", Planned("a plan", ("one",), (Step("s", "the step"),)))
    store.append(operation.id, "s", StepStarted("s"))
    store.append(operation.id, "o", Output("prodweb1", "restart", "a\x1b[31mred\nb", ok=False))
    store.append(operation.id, "h", HostReport("prodweb1", "is back", "s", False))
    store.append(operation.id, "e", StepEnded("s", "failed"))
    store.end(operation.id, "failed", Stopped("it broke", "look"))
    stream = get(here, f"/operations/{operation.number}/events").body
    entries = told(stream)
    kinds = ["accepted", "plan", "step", "out", "host", "over", "end"]
    assert [e["k"] for e in entries] == kinds
    assert entries[3] | {"at": 0} == {
        "k": "out", "at": 0, "h": "prodweb1", "task": "restart", "t": "ared\nb", "ok": False,
    }  # fmt: skip
    assert entries[-1]["t"] == ["it broke", "look"] and "event: end" in stream
    last = max(map(int, re.findall(r"^id: (\d+)$", stream, re.MULTILINE)))
    again = get(here, f"/operations/{operation.number}/events", {"Last-Event-ID": str(last)})
    assert told(again.body) == []
    part = get(here, f"/operations/{operation.number}/events", {"Last-Event-ID": str(last - 2)})
    assert [e["k"] for e in told(part.body)] == ["over", "end"]


def test_a_log_of_many_pages_comes_whole(here: Served, store: Store):
    operation = begun(store)
    for number in range(450):
        store.append(operation.id, f"{number}", Printed("prodweb1", f"line {number}\n"))
    store.end(operation.id, "done", Done("well"))
    entries = told(get(here, f"/operations/{operation.number}/events").body)
    assert [e["t"] for e in entries if e["k"] == "out"] == [f"line {n}\n" for n in range(450)]


def test_the_log_as_text(here: Served, store: Store):
    operation = begun(store)
    store.append(operation.id, "o", Output("prodweb1", "restart", "one\ntwo", ok=False))
    store.append(operation.id, "r", Printed("prodmanager1", "printed\n"))
    store.end(operation.id, "done", Done("prod runs abc"))
    answer = get(here, f"/operations/{operation.number}/log.txt")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert f'filename="packlead-{operation.number}.log"' in answer.headers["Content-Disposition"]
    rows = [row[10:] if row[2:3] == ":" else row for row in answer.body.splitlines()]
    assert rows == [
        "ada asks: deploy prod master",
        "prodweb1: restart did not work",
        "          one",
        "          two",
        "printed",
        "prod runs abc",
    ]


def test_without_slack_the_pages_are_served_all_the_same(config: Config, store: Store, known):
    import asyncio

    from bot.dispatcher import Dispatcher
    from bot.fronts import serving

    alone = config.model_copy(update={"slack": None, "url": ""})
    seen: list[int] = []

    async def main() -> None:
        stop = asyncio.Event()

        def look(url: str) -> None:
            async def ask() -> None:
                import aiohttp

                async with aiohttp.ClientSession() as client:
                    for path in ("/", "/healthz", "/metrics"):
                        async with client.get(url + path) as answer:
                            seen.append(answer.status)
                stop.set()

            tasks.append(asyncio.create_task(ask()))

        tasks: list[asyncio.Task[None]] = []
        dispatcher = Dispatcher(alone, known, store)
        environ = {"PORT": "0"}
        await serving.serve(alone, store, dispatcher, environ, stop, lambda: None, look)

    asyncio.run(main())
    assert seen == [200, 200, 200]


# -- from Slack ----------------------------------------------------------------------------------


def test_a_card_has_the_link_to_its_log(
    strict: Slack, launch, served: Served, store: Store, worker: Worker
):
    launch()
    assert strict.command("U0ADA", "/deploy", "prod master").acked
    operation = strict.wait(store.history)[0]
    worker.begin(operation, Planned("deploy abc", (), (Step("s", "step"),)))

    def link(wanted: str) -> str:
        cards = [str(m.blocks) for m in strict.messages("C0PROD") if wanted in str(m.blocks)]
        found = re.findall(r"<(https://packlead\.example\.org[^|>]*)\|log>", "".join(cards))
        return found[0] if found else ""

    first = strict.wait(lambda: link("deploy abc"))
    answer = get(served, path_of(first), FAR)
    assert answer.status == 200 and "deploy prod master" in answer.body
    worker.end(operation, Done("prod runs abc"))
    assert strict.wait(lambda: link("prod runs abc")) == first, "an edit leaves the link as it is"
