"""App Home: each reader's own board, within Slack's limits whatever stands in it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import commands
from bot import board
from bot.board import Asked, Board, Coming, Standing
from bot.command import find
from bot.config import Config
from bot.events import Done, Planned, Question, Step, StepProgress
from bot.fronts import cards, home
from bot.fronts.cards import Style
from bot.frozen import Freeze
from bot.manifest import manifest
from bot.operations import Operation
from bot.people import People, Speaker
from bot.releases import Release
from bot.store import Lock, Store
from tests.fronts.conftest import Worker
from tests.fronts.test_cards import EVIL, check, story
from tests.lab.slack import Slack, validate_home, validate_message

NOW = 1_790_000_000.0
KNOWN = find(commands)
SUBJECTS = st.one_of(
    st.text(max_size=500),
    st.just(EVIL),
    st.just("<!channel> & 🐶 " * 40),
    st.just("&" * 500),
    st.just("🐕‍🦺" * 125),
    st.just("`*_~" * 125),
)
NAMES = [f"env-{chr(97 + n)}" for n in range(20)]
HOSTS = tuple(f"env-aweb{n}" for n in range(300))


def config_of(names: list[str]) -> Config:
    return Config.model_validate(
        {
            "app": {"repository": "app.git"}, "slack": {"team": "T0LAB"}, "types": {"web": {}},
            "environments": {n: {"channel": "C0PROD"} for n in names},
            "people": {"ada": {"slack": "U0ADA"}, "bob": {"slack": "U0BOB"}},
            "permissions": [{"who": ["ada"], "may": ["*"]},
                            {"who": ["bob"], "may": ["status", "deploy"], "on": names[:1]}],
        }
    )  # fmt: skip


def operation(number: int, text: str, environment: str, state: str = "running") -> Operation:
    return Operation(
        number, f"op-{number}", f"deploy {environment} {text}", "deploy", environment, text or "x",
        "slack", state, NOW - 60, {"user": "U0ADA"}, True, started=NOW - 50,
        finished=NOW - 5 if state in ("done", "failed") else None,
    )  # fmt: skip


def crowded(text: str) -> Board:
    """Twenty environments in which everything happens at once."""
    environments, asks, count = [], [], iter(range(1, 10_000))
    for name in NAMES:
        live = Release(name, 7, "a" * 40, text, text, text, "op", "healthy", NOW - 900)
        about = tuple(f"{host} runs {text}" for host in HOSTS)
        question = Question(text, "t" * 12, about, True, ("ada",), NOW + 60)
        asked = Asked(operation(next(count), text, name, "waiting"), question)
        asks.append(asked)
        environments.append(
            Standing(
                name,
                "ill",
                text,
                live=live,
                operation=operation(next(count), text, name, "done"),
                last=operation(next(count), text, name, "failed"),
                lock=Lock(name, "ada", text, NOW - 60, NOW + 60),
                freeze=Freeze(NOW + 9, text, text),
                running=operation(next(count), text, name),
                queue=tuple(operation(next(count), text, name, "queued") for _ in range(30)),
                asks=(asked,),
                coming=tuple(Coming("x", text, NOW + n) for n in range(9)),
            )
        )
    recent = tuple(operation(next(count), text, "env-a", "done") for _ in range(15))
    return Board(NOW, tuple(environments), recent, tuple(asks))


def inert(view: dict) -> None:
    """Nothing in a view acts that others wrote: the same look as at a message."""
    assert len(json.dumps(view)) < 250_000, "Slack says view_too_large"
    for first in range(0, len(view["blocks"]), 8):
        check({"text": "x", "blocks": view["blocks"][first : first + 8]})


@settings(max_examples=60, deadline=None)
@given(SUBJECTS)
def test_twenty_crowded_environments_are_within_slacks_limits(subject: str):
    told = config_of(NAMES)
    for speaker in (Speaker("ada"), Speaker("bob")):
        view = home.view(crowded(subject), People(told), speaker, KNOWN)
        assert validate_home(view) == []
        assert 20 < len(view["blocks"]) <= 100
        inert(view)
        shown = str(view)
        assert all(f"*{name}*" in shown for name in NAMES), "an environment is missing"


@settings(max_examples=40, deadline=None)
@given(SUBJECTS)
def test_a_card_of_three_hundred_instances_is_too(subject: str):
    hosts = ", ".join(HOSTS)
    made = story(
        Planned(
            f"deploy {subject}",
            (f"comes: {subject}", *(f"{host} runs {subject}" for host in HOSTS)),
            tuple(Step(host, f"switch {host}") for host in HOSTS),
            HOSTS,
        ),
        StepProgress(HOSTS[7], subject, 7, 300),
        Done(subject, (hosts, subject)),
        line=f"deploy env-a {subject}",
    )
    link = "https://packlead.example.org/operations/12?pass=1790000000.12." + "x" * 43
    for style in Style:
        message = cards.card(made, style, ("rollback",), log=link)
        assert validate_message(message) == []
        check(_without(message, link))
    asking = story(Question(subject, "t", tuple(f"{h}: {subject}" for h in HOSTS), True, HOSTS))
    assert validate_message(cards.card(asking, Style.PLAN, ("approve", "reject"), log=link)) == []


def _without(message: dict, link: str) -> dict:
    """A message without our own link, which is the only one that may be in it."""
    whole = json.dumps(message)
    assert whole.count(link) <= 1
    return json.loads(whole.replace(f"<{link}|log>", "log"))


def values(view: dict) -> list[str]:
    rows = [b["elements"] for b in view["blocks"] if b["type"] == "actions"]
    return [button["value"] for row in rows for button in row]


def test_the_buttons_are_those_that_this_person_may_press(config: Config):
    people = People(config)
    waits = Operation(
        4, "w", "deploy prod x", "deploy", "prod", "bob", "slack", "waiting", NOW, {}, True
    )
    asked = Asked(waits, Question("sure?", "tok", (), True, ("ada", "S0OPS")))
    runs = operation(5, "master", "puppystream")
    seen = Board(
        NOW,
        (Standing("prod", "well", "", asks=(asked,), lock=Lock("prod", "ada", "x", NOW)),
         Standing("puppystream", "changing", "", running=runs)),
        (), (asked,),
    )  # fmt: skip

    def of(speaker: Speaker) -> list[str]:
        return values(home.view(seen, people, speaker, KNOWN))

    yes = ["approve #4 tok", "reject #4"]
    prod, puppy = ["deploy prod", "status prod"], ["deploy puppystream", "status puppystream"]
    assert of(Speaker("ada")) == [*yes, *prod, "unlock prod", "cancel #5", *puppy]
    assert of(Speaker("U0X", frozenset({"S0OPS"}))) == [*yes, *prod, "cancel #5", *puppy]
    assert of(Speaker("bob")) == ["cancel #5", *puppy]
    assert of(Speaker("eve")) == []


def test_a_button_that_changes_something_asks_first(config: Config):
    seen = Board(
        NOW, (Standing("prod", "changing", "", running=operation(5, "x", "prod")),), (), ()
    )
    view = home.view(seen, People(config), Speaker("ada"), KNOWN)
    rows = [b["elements"] for b in view["blocks"] if b["type"] == "actions"]
    asks = {button["value"]: "confirm" in button for row in rows for button in row}
    assert asks == {"cancel #5": True, "deploy prod": True, "status prod": False}


# -- in Slack ------------------------------------------------------------------------------------


@pytest.fixture
def installed(strict: Slack, known, config: Config, launch) -> Slack:
    strict.install(manifest(known, config))
    launch()
    return strict


def home_of(slack: Slack, user: str, wanted: str = "") -> dict:
    def there() -> dict | None:
        view = slack.home(user)
        return view if view and wanted in str(view["blocks"]) else None

    return slack.wait(there)


def test_it_is_drawn_when_it_is_opened(installed: Slack, store: Store):
    opened = installed.open_home("U0ADA")
    assert opened is not None and opened.acked
    view = home_of(installed, "U0ADA")
    assert "*prod*" in str(view["blocks"]) and "*puppystream*" in str(view["blocks"])
    assert store.history() == [], "looking is no operation"


def test_each_sees_their_own(installed: Slack):
    installed.open_home("U0BOB")
    installed.open_home("U0EVE")
    installed.open_home("U0GUEST")
    assert "*prod*" not in str(home_of(installed, "U0BOB", "*puppystream*"))
    assert "may not see any environment" in str(home_of(installed, "U0EVE"))
    assert values(home_of(installed, "U0GUEST")) == []


def test_a_yes_given_there_is_one_yes(
    installed: Slack, store: Store, ask: Callable, worker: Worker
):
    asked = ask("U0BOB", "deploy puppystream master")
    store.begin(asked.operation)
    store.ask(asked.operation, Question("sure?", "tok", (), True, ("ada",)))
    installed.open_home("U0ADA")
    view = home_of(installed, "U0ADA", "approve #1 tok")
    for _ in range(2):
        try:
            assert installed.click("U0ADA", view["id"], "once:approve").acked
        except LookupError:
            break  # it was drawn again, without the button
    installed.wait(lambda: store.get("yes:1"))
    view = installed.wait(
        lambda: (v := installed.home("U0ADA")) and "approve #1" not in str(v["blocks"]) and v
    )
    assert "waits: #2" in str(view["blocks"])
    assert [o.id for o in store.live()] == ["yes:1"]


def test_a_deploy_asked_there_is_told_in_its_channel(
    installed: Slack, store: Store, worker: Worker
):
    installed.open_home("U0ADA")
    view = home_of(installed, "U0ADA")
    assert installed.click("U0ADA", view["id"], "say:deploy", block_id="env:prod").acked
    installed.wait(store.history)
    (made,) = store.history()
    assert (made.line, made.person) == ("deploy prod master", "ada") or made.line == "deploy prod"
    worker.begin(made, Planned("deploy abc", (), (Step("s", "step"),)))
    installed.wait(lambda: [m for m in installed.messages("C0PROD") if "deploy abc" in str(m)])
    worker.end(made, Done("well"))
    home_of(installed, "U0ADA", "#1 deploy prod")
    private = [m.text for m in installed.messages("D0ADA")]
    assert any("accepted as #1" in text for text in private), private


def test_slack_away_only_delays_it(installed: Slack):
    fault = installed.fault("views.publish", "503", times=2)
    installed.open_home("U0ADA")
    home_of(installed, "U0ADA")
    fault.clear()


def test_an_opening_is_acked_before_slack_is_asked(installed: Slack):
    fault = installed.fault("views.publish", "slow", seconds=5, times=1)
    began = time.monotonic()
    opened = installed.open_home("U0ADA")
    assert opened is not None and opened.acked
    assert not installed.home("U0ADA") or time.monotonic() - began < 5
    fault.clear()


def test_what_happens_while_it_is_drawn_is_drawn_too(
    installed: Slack, store: Store, ask: Callable, worker: Worker
):
    fault = installed.fault("views.publish", "slow", times=1, delay=2.0)
    installed.open_home("U0ADA")
    installed.wait(lambda: fault.count, what="the first drawing")
    asked = ask("U0BOB", "deploy puppystream master")
    installed.open_home("U0ADA")
    home_of(installed, "U0ADA", f"#{store.get(asked.operation).number} deploy puppystream")


def test_the_board_of_the_store_makes_a_home(store: Store, config: Config):
    view = home.view(board.read(store, config), People(config), Speaker("ada"), KNOWN)
    assert validate_home(view) == [] and "nothing released yet" in str(view["blocks"])
