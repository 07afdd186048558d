"""What comes in by webhooks and tokens: who is heard, what comes of it, what leaves no trace."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from bot.config import Config
from bot.dispatcher import Dispatcher
from bot.errors import Misconfigured, Misunderstood
from bot.events import Question, WasCancelled
from bot.fronts import http
from bot.fronts.deploys import Deploys, Ticket, made, sealed
from bot.fronts.github import PATH, GitHub
from bot.fronts.missed import Missed
from bot.fronts.pushes import Pushes
from bot.locks import Lock
from bot.store import Operation, Store
from tests.lab.webhooks import Webhooks
from tests.waiting import PATIENCE

SECRET = "webhook-secret-of-the-lab"
TOKENS = "secret-of-the-tokens-of-the-lab"
OLD, NEW, NEWER = "a" * 40, "b" * 40, "c" * 40
Json = dict[str, Any]
Push = Callable[..., int]


@pytest.fixture
def config(config: Config) -> Config:
    data = config.model_dump(exclude_defaults=True)
    data["github"] = {"repository": "lab/kennel"}
    data["environments"]["puppystream"]["auto"] = "master"
    data["environments"]["puppycrate"] = {"channel": "C0CRATE", "auto": "develop"}
    data["people"]["ada"]["github"] = "Ada"
    data["people"]["bob"]["github"] = "583231"
    return Config.model_validate(data)


class Served:
    """The ways in, without Slack."""

    def __init__(self, config: Config, dispatcher: Dispatcher, store: Store) -> None:
        self.pushes = Pushes(config, dispatcher)
        self.now = store.now
        github = GitHub(config, self.pushes, SECRET)
        deploys = Deploys(config, self.pushes, TOKENS, lambda: self.now())
        self._routes = [*github.routes(), *deploys.routes()]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)

    async def _serve(self) -> None:
        async def health() -> Json:
            return {}

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = http.Server(http.application(health, self._routes), port=0)
        await server.start()
        self.url = server.url
        self._ready.set()
        await self._stop.wait()
        await server.stop()


@pytest.fixture
def served(config: Config, dispatcher: Dispatcher, store: Store) -> Iterator[Served]:
    served = Served(config, dispatcher, store)
    served.start()
    yield served
    served.stop()


@pytest.fixture
def hooks(served: Served) -> Webhooks:
    hooks = Webhooks(SECRET)
    hooks.url = served.url + PATH
    return hooks


def payload(after: str = NEW, before: str = OLD, ref: str = "master", **more: Any) -> Json:
    told = {
        "ref": ref if ref.startswith("refs/") else f"refs/heads/{ref}",
        "before": before, "after": after, "deleted": False,
        "repository": {"full_name": "lab/kennel"},
        "sender": {"login": "ada", "id": 77},
    }  # fmt: skip
    return told | more


@pytest.fixture
def push(hooks: Webhooks) -> Push:
    return lambda *words, **more: hooks.deliver("push", payload(*words, **more)).status


def all_of(store: Store) -> list[Operation]:
    return list(reversed(store.history(limit=100)))


def rows(store: Store) -> int:
    with store.engine.begin() as c:
        tables = sa.inspect(c).get_table_names()
        counts = [c.execute(sa.text(f"select count(*) from {t}")).scalar() for t in tables]
    return sum(map(int, counts))  # type: ignore[arg-type]


# -- who is heard --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        Webhooks("another-secret").sign(json.dumps(payload()).encode()),
        Webhooks(SECRET).sign(b"another body"),
        Webhooks(SECRET).sign(json.dumps(payload()).encode())[:-1],
        Webhooks(SECRET).sign(json.dumps(payload()).encode()).upper(),
        Webhooks(SECRET).sign(json.dumps(payload()).encode()).replace("sha256", "sha1"),
        Webhooks(SECRET).sign(json.dumps(payload()).encode()) + " ",
        "sha256=" + "é" * 32,
    ],
    ids=range(11),
)
def test_what_is_forged_leaves_no_trace(
    hooks: Webhooks, served: Served, store: Store, signature: str | None
):
    before = rows(store)
    whole = hooks.sign(json.dumps(payload()).encode())
    if signature and signature.strip() == whole:
        signature = whole + "0"  # a client takes the blank away
    sent = hooks.deliver(
        "push", payload(), X_Hub_Signature_256=signature,
        X_Hub_Signature="sha1=" + "0" * 40,
    )  # fmt: skip
    assert sent.status == 401
    assert rows(store) == before
    assert served.pushes.counts == {"forged": 1}


def test_a_body_that_is_too_long(hooks: Webhooks, store: Store):
    assert hooks.deliver("push", payload(filler="x" * 9_000_000)).status in (0, 401)
    assert not all_of(store)


def test_what_is_no_push(hooks: Webhooks, store: Store):
    assert hooks.deliver("ping", {"zen": "Keep it logically awesome."}).status == 200
    for event in ("issues", "pull_request", "", "x" * 300):
        assert hooks.deliver(event, payload()).status == 204
    assert not all_of(store)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"ref": "refs/heads/master"},
        payload(after="../../etc/passwd"),
        payload(before="b' or 1=1"),
        payload(repository="lab/kennel"),
        payload(repository=None),
    ],
)
def test_signed_nonsense(hooks: Webhooks, store: Store, told: Json):
    assert hooks.deliver("push", told).status == 400
    assert not all_of(store)


@pytest.mark.parametrize(
    "told",
    [
        payload("0" * 40, deleted=True),
        payload("0" * 40),
        payload(ref="refs/tags/v1.0"),
        payload(ref="refs/tags/master"),
        payload(ref="feature/logo"),
        payload(ref="feature/\r\nX-Evil: é <!channel>"),
        payload(ref="Master"),
        payload(repository={"full_name": "eve/kennel"}),
    ],
)
def test_what_no_environment_waits_for(hooks: Webhooks, store: Store, told: Json):
    assert hooks.deliver("push", told).status == 204
    assert not all_of(store)


def test_a_form_as_github_may_send_it(hooks: Webhooks, store: Store):
    body = urllib.parse.urlencode({"payload": json.dumps(payload())}).encode()
    headers = {"X-GitHub-Event": "push", "X-Hub-Signature-256": hooks.sign(body)}
    request = urllib.request.Request(hooks.url, body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 202
    assert [o.line for o in all_of(store)] == ["deploy puppystream master"]


# -- what comes of it ----------------------------------------------------------------------------


def test_a_push_asks_for_a_deploy(push: Push, store: Store):
    assert push() == 202
    [asked] = all_of(store)
    assert asked.line == "deploy puppystream master" and asked.exclusive
    assert (asked.person, asked.front, asked.state) == ("ada", "github", "queued")
    assert asked.id == f"push:puppystream:{OLD[:12]}:{NEW[:12]}"
    assert asked.audience == {
        "kind": "slack", "channel": "C0PUPPY", "public": True, "user": "U0ADA",
    }  # fmt: skip


def test_a_branch_of_several_environments(config: Config, known, store: Store):
    data = config.model_dump(exclude_defaults=True)
    data["environments"]["prod"]["auto"] = "master"
    several = Config.model_validate(data)
    served = Served(several, Dispatcher(several, known, store), store)
    served.start()
    try:
        hooks = Webhooks(SECRET)
        hooks.url = served.url + PATH
        assert hooks.deliver("push", payload()).status == 202
        assert hooks.deliver("push", payload()).status == 200
    finally:
        served.stop()
    lines = [o.line for o in all_of(store)]
    assert lines == ["deploy prod master", "deploy puppystream master"]


def test_the_same_push_again(push: Push, hooks: Webhooks, store: Store):
    assert push() == 202
    first = hooks.deliveries[-1]
    assert hooks.deliver("push", first.payload, first.id).status == 200
    assert push() == 200, "another id, but the same push"
    assert len(all_of(store)) == 1


def test_a_branch_that_goes_back_and_comes_again(push: Push, store: Store):
    def at(second: int) -> Json:
        return {"full_name": "lab/kennel", "pushed_at": second}

    assert push(NEW, OLD, repository=at(1)) == 202
    assert push(OLD, NEW, repository=at(2)) == 202
    assert push(NEW, OLD, repository=at(3)) == 202, "the same two commits, but it is another push"
    assert push(NEW, OLD, repository=at(3)) == 200
    assert len(all_of(store)) == 3


def test_the_newest_takes_the_place_of_those_that_wait(push: Push, store: Store):
    push(NEW, OLD)
    running = all_of(store)[0]
    assert store.begin(running.id).state == "mine"
    push(NEWER, NEW)
    push("d" * 40, NEWER)
    states = [o.state for o in all_of(store)]
    assert states == ["running", "cancelled", "queued"]
    assert not all_of(store)[0].cancelled_by, "what runs is left alone"
    [said] = [
        e.event for e in store.entries(all_of(store)[1].id) if isinstance(e.event, WasCancelled)
    ]
    assert said.where == f"superseded by #{all_of(store)[2].number}"


def test_a_question_that_waits_is_superseded_too(push: Push, store: Store):
    push()
    asked = all_of(store)[0]
    store.begin(asked.id)
    store.ask(asked.id, Question("sure?", "token"))
    push(NEWER, NEW)
    assert [o.state for o in all_of(store)] == ["cancelled", "queued"]
    assert store.approve(asked, "token", "bob") is None, "a yes comes too late"


def test_what_a_person_said_is_never_superseded(push: Push, ask, store: Store):
    assert ask("U0ADA", "deploy puppystream master").ok
    assert ask("U0ADA", "deploy puppystream other").ok
    push()
    push(NEWER, NEW)
    states = {(o.front, o.line): o.state for o in all_of(store)}
    assert states["slack", "deploy puppystream master"] == "queued"
    assert states["slack", "deploy puppystream other"] == "queued"


def test_a_hundred_at_once(hooks: Webhooks, store: Store):
    commits = [f"{n:012x}{0:028x}" for n in range(1, 22)]
    pairs = list(pairwise(commits)) * 5
    threads = [hooks.send("push", payload(new, old)) for old, new in pairs]
    for thread in threads:
        thread.join(PATIENCE)
    answered = [d.status for d in hooks.deliveries]
    assert answered.count(202) == 20 and answered.count(200) == 80
    states = [o.state for o in all_of(store)]
    assert states == ["cancelled"] * 19 + ["queued"]


# -- as whom -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "person"),
    [
        ({"login": "ada", "id": 77}, "ada"),
        ({"login": "ADA", "id": 78}, "ada"),
        ({"login": "bob-has-another-name-now", "id": 583231}, "bob"),
    ],
)
def test_a_person_of_the_config(push: Push, store: Store, sender: Json, person: str):
    assert push(sender=sender) == 202
    assert all_of(store)[0].person == person


@pytest.mark.parametrize(
    "sender",
    [
        {"login": "583231", "id": 1},
        {"login": "octocat", "id": 2},
        {"login": "eve", "id": 3},
        {"login": "", "id": None},
        {},
        "ada",
        {"login": "<!channel> --only web", "id": 4},
    ],
)
def test_a_stranger_is_refused_and_it_is_told(push: Push, store: Store, sender: Json):
    assert push(sender=sender) == 200
    assert push(sender=sender) == 200
    [told] = all_of(store)
    assert told.command == "tell" and told.audience["channel"] == "C0PUPPY"
    assert "Packlead does not know you" in told.line


def test_the_service_person_stands_in(config: Config, known, store: Store):
    data = config.model_dump(exclude_defaults=True)
    data["github"]["service"] = "bob"
    with_service = Config.model_validate(data)
    who = GitHub(with_service, Pushes(with_service, Dispatcher(with_service, known, store)), SECRET)
    people = Dispatcher(with_service, known, store).people
    assert people.identify(who.who({"login": "octocat", "id": 2})).name == "bob"
    assert people.identify(who.who({"login": "ada", "id": 77})).name == "ada"


def test_somebody_who_may_not(push: Push, store: Store, config: Config):
    assert push(ref="develop", sender={"login": "x", "id": 583231}) == 200
    [told] = all_of(store)
    assert "bob may not deploy on puppycrate" in told.line and told.environment == "puppycrate"


@pytest.mark.parametrize("reason", ["we show it", "it's --only 'us' “now”", "<!channel>\n--force"])
def test_a_lock_holds_for_pushes(
    push: Push, store: Store, dispatcher: Dispatcher, served: Served, reason: str
):
    store.locks.take(Lock("puppystream", "ada", reason, store.now()))
    assert push() == 200 and push() == 200, "also for whoever holds it"
    [told] = all_of(store)
    assert told.command == "tell" and "ada keeps puppystream from now on" in told.line
    call, _ = dispatcher.recall(told)
    assert call.command.name == "tell" and reason.split()[0] in call.arguments["text"]
    assert served.pushes.counts["refused"] == 2
    lock = store.locks.of("puppystream")
    assert lock and store.locks.drop(lock)
    assert push() == 202, "delivered again once it is free"


def test_the_database_is_away(push: Push, store: Store):
    with store.engine.begin() as c:
        c.execute(sa.text("alter table operations rename to elsewhere"))
    assert push() == 503
    with store.engine.begin() as c:
        c.execute(sa.text("alter table elsewhere rename to operations"))
    assert push() == 202


# -- by a token ----------------------------------------------------------------------------------


@pytest.fixture
def post(served: Served) -> Callable[[str], tuple[int, Json]]:
    def post(token: str) -> tuple[int, Json]:
        headers = {"Authorization": token} if token else {}
        request = urllib.request.Request(served.url + "/deploys", b"", headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")

    return post


def ticket(store: Store, **more: Any) -> Ticket:
    told = {
        "environment": "puppystream", "person": "bob", "expires": store.now() + 600,
        "nonce": "0123456789abcdef", "ref": "master",
    }  # fmt: skip
    return Ticket(**(told | more))  # type: ignore[arg-type]


def test_a_token_asks_for_a_deploy_once(post, store: Store):
    token = "Bearer " + sealed(TOKENS, ticket(store))
    status, said = post(token)
    assert status == 202 and "accepted as #1" in said["text"] and not said["duplicate"]
    again = post(token)
    assert again == (200, said | {"duplicate": True})
    [asked] = all_of(store)
    assert (asked.line, asked.person, asked.front) == (
        "deploy puppystream master",
        "bob",
        "deploys",
    )
    assert asked.audience["channel"] == "C0PUPPY"


def test_a_token_with_a_commit(post, store: Store):
    assert post("Bearer " + sealed(TOKENS, ticket(store, ref="", commit=NEW)))[0] == 202
    assert all_of(store)[0].line == f"deploy puppystream {NEW}"


def test_tokens_that_are_none(post, store: Store, served: Served):
    good = sealed(TOKENS, ticket(store))
    content, _, signature = good.partition(".")
    other = sealed(TOKENS, ticket(store, environment="prod", person="ada"))
    forged = [
        "", good, f"Basic {good}", f"Bearer {content}", f"Bearer {content}.",
        f"Bearer .{signature}",
        f"Bearer {other.partition('.')[0]}.{signature}", f"Bearer {content}.{signature[:-1]}",
        f"Bearer {content}=.{signature}", f"Bearer {content}.{signature.upper()}",
        "Bearer " + sealed("another secret of another lab", ticket(store)),
        "Bearer " + sealed(TOKENS, ticket(store, environment=7)),
        "Bearer " + sealed(TOKENS, ticket(store, expires="soon")),
        "Bearer " + sealed(TOKENS, ticket(store, nonce="")),
    ]  # fmt: skip
    before = rows(store)
    assert [post(token)[0] for token in forged] == [401] * len(forged)
    assert rows(store) == before and served.pushes.counts["forged"] == len(forged)


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"expires": 1.0}, 401, "expired"),
        ({"expires": 1e12}, 401, "more than a day"),
        ({"environment": "production"}, 400, "no environment"),
        ({"nonce": "short"}, 400, "nonce"),
        ({"ref": ""}, 400, "either a ref or a commit"),
        ({"commit": NEW}, 400, "either a ref or a commit"),
        ({"ref": "", "commit": "abc"}, 400, "40 hex"),
        ({"ref": "--force"}, 400, "cannot be a ref"),
        ({"ref": "master --only web"}, 400, "cannot be a ref"),
        ({"person": "stranger"}, 409, "does not know"),
        ({"person": "eve"}, 409, "may not deploy"),
    ],
)
def test_tokens_that_ask_for_too_much(post, store: Store, more: Json, status: int, said: str):
    answered, told = post("Bearer " + sealed(TOKENS, ticket(store, **more)))
    assert answered == status and said in told["error"]
    assert not [o for o in all_of(store) if o.command != "tell"]


def test_a_lock_holds_for_tokens(post, store: Store):
    store.locks.take(Lock("puppystream", "ada", "we show it", store.now()))
    token = "Bearer " + sealed(TOKENS, ticket(store))
    assert post(token)[0] == 409 and post(token)[0] == 409
    [told] = all_of(store)
    assert told.command == "tell" and "ada keeps puppystream from now on" in told.line


def test_pushes_and_tokens_are_one_queue(post, push: Push, store: Store):
    push()
    assert post("Bearer " + sealed(TOKENS, ticket(store)))[0] == 202
    assert [o.state for o in all_of(store)] == ["cancelled", "queued"]


def test_a_token_is_made_in_a_terminal(config: Config, post, store: Store):
    environ = {"PACKLEAD_DEPLOYS_SECRET": TOKENS}
    token = made(config, environ, "puppystream", "", "bob", 600)
    assert post(f"Bearer {token}")[0] == 202
    assert all_of(store)[0].line == "deploy puppystream master"
    for words, said in (
        (("pupystream", "", "bob", 600), 'did you mean "puppystream"'),
        (("prod", "", "bobb", 600), 'did you mean "bob"'),
        (("prod", "--force", "bob", 600), "cannot be a branch"),
        (("prod", "", "bob", 90000), "a day at most"),
    ):
        with pytest.raises(Misunderstood) as told:
            made(config, environ, *words)
        assert said in str(told.value)
    with pytest.raises(Misconfigured, match="has 5 characters"):
        made(config, {"PACKLEAD_DEPLOYS_SECRET": "short"}, "prod", "", "bob", 600)


# -- what did not come ---------------------------------------------------------------------------


@pytest.fixture
def missed(config: Config, served: Served, store: Store) -> Iterator[tuple[Missed, dict[str, str]]]:
    data = config.model_dump(exclude_defaults=True)
    data["github"]["service"] = "ada"
    heads = {"master": OLD, "develop": OLD}
    yield Missed(Config.model_validate(data), store, served.pushes, heads.__getitem__), heads


def test_a_push_of_which_no_webhook_told_is_found(
    missed: tuple[Missed, dict[str, str]], push: Push, store: Store
):
    looker, heads = missed
    for _ in range(3):
        looker.look()
    assert not all_of(store), "what was there before is no news"
    heads["master"] = NEW
    looker.look()
    assert not all_of(store), "its webhook may be on its way"
    for _ in range(3):
        looker.look()
    [asked] = all_of(store)
    assert (asked.line, asked.person) == ("deploy puppystream master", "ada")
    heads["master"] = NEWER
    looker.look()
    assert push(NEWER, NEW) == 202
    for _ in range(3):
        looker.look()
    assert len(all_of(store)) == 2, "a webhook told of it in time"


def test_nobody_pushes_past_a_second_person_unknown(
    missed: tuple[Missed, dict[str, str]], served: Served, store: Store
):
    """Who pushed would say yes to what counts as the service person's."""
    looker, heads = missed
    environments = {
        name: environment.model_copy(update={"approval": "approve", "approvers": ("ada",)})
        for name, environment in looker.config.environments.items()
    }
    looker.pushes.config = looker.config.model_copy(update={"environments": environments})
    looker.look()
    heads["master"] = NEW
    for _ in range(3):
        looker.look()
    [told] = all_of(store)
    assert told.command == "tell" and "nobody knows who the first one is" in told.line


def test_a_branch_that_is_another_one_now_is_no_push(
    missed: tuple[Missed, dict[str, str]], store: Store
):
    looker, heads = missed
    looker.look()
    changed = looker.config.model_dump(exclude_defaults=True)
    changed["environments"]["puppystream"]["auto"] = "develop"
    looker.config, heads["develop"] = Config.model_validate(changed), NEW
    for _ in range(3):
        looker.look()
    assert [o.line for o in all_of(store)] == ["deploy puppycrate develop"]
