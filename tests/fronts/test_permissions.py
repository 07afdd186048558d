"""What docs/permissions.md says is what a running Packlead decides, in every combination."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import aiohttp
import pytest

from bot.config import Config
from bot.dispatcher import Dispatcher, Request
from bot.fronts.slack_people import STALE_SECONDS, SlackDirectory
from bot.fronts.slack_send import Away, Lost, Web
from bot.people import STATUS
from bot.store import Store
from tests.fronts import permitted
from tests.fronts.conftest import Running
from tests.fronts.permitted import Line, Lines, refused, table
from tests.lab.slack import Delivery, Slack


@pytest.fixture
def config(config: Config) -> Config:
    return permitted.config(config)


@pytest.fixture
def people(slack: Slack) -> dict[str, str]:
    return permitted.people(slack)


@pytest.fixture
def channels(slack: Slack, people: dict[str, str]) -> dict[str, dict[str, str]]:
    return permitted.channels(slack, list(people.values()))


@pytest.fixture
def lines(config: Config, known, store: Store) -> Lines:
    return Lines(config, known, store)


def allowed(kind: str, line: Line) -> bool:
    """Say whether the docs allow it."""
    who = {row["who"]: row["may"] for row in table("Who asks")}[kind]
    what = {row["command"]: row[line.environment] for row in table("What")}
    assert who in ("nothing", "what the rows say") and what[line.command] in ("yes", "no")
    return who != "nothing" and what[line.command] == "yes"


def test_every_command_has_its_row_and_its_permission_in_the_docs(known):
    told = {row["command"]: row["permission"].strip("`") for row in table("What")}
    assert set(told) == set(known), "docs/permissions.md has a row for every command, and no other"
    for command in known.values():
        named = told[command.name] if not told[command.name].startswith("(") else ""
        assert named == command.permission, command.name


LATE = "too much is asked at once"


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_the_matrix(slack: Slack, people, channels, lines: Lines, running: Running, whole: bool):
    """Each kind of person, each command, each environment; in every channel, or in turn."""
    slack.rate_limits = True  # few cards are told meanwhile: they are not what is looked at
    wrong, asked = [], Counter[bool]()
    for number, (channel, places) in enumerate(channels.items()):
        for turn, (kind, user) in enumerate(people.items(), number):
            said = list(lines.every())
            said = said if whole else said[turn % 4 :: 4]
            split = [(f"/{line.command}", line.text.partition(" ")[2]) for line in said]
            given = [(user, *typed, places[user]) for typed in split]
            for line, delivery in zip(said, together(slack, given), strict=True):
                assert delivery.acked, (kind, channel, line)
                told = str((delivery.answer or {}).get("text", ""))
                assert "usage:" not in told and "bug" not in told, f"{line.text}: {told}"
                asked[refused(told)] += 1
                if refused(told) == allowed(kind, line):
                    wrong.append(f"{kind}, {channel}: {line.text}: {told!r}")
    assert not wrong, "\n".join(wrong[:20])
    combinations = len(people) * len(list(lines.every())) * (len(channels) if whole else 1)
    assert asked.total() == combinations and asked[False] and asked[True]


def together(slack: Slack, given: list[tuple[str, str, str, str]]) -> list[Delivery]:
    """Say many lines, a few at once, and again where a busy machine was too late for them."""
    told: dict[tuple[str, str, str, str], Delivery] = {}
    for _ in range(3):
        left = [one for one in given if one not in told or LATE in str(told[one].answer)]
        for at in range(0, len(left), 8):
            some = left[at : at + 8]
            told |= zip(some, slack.commands(some), strict=True)
    return [told[one] for one in given]


WAYS = ("mention", "message", "button", "App Home")


@pytest.mark.parametrize("way", WAYS)
def test_whoever_presses_or_says_it(
    slack: Slack, people, channels, running: Running, store: Store, way: str
):
    """What may be done becomes an operation; of all else its person alone is told why not."""
    reasons = {row["who"]: row["and is told"] for row in table("Who asks")}
    for kind, user in people.items():
        for places in channels.values():
            channel = places[user]
            if (channel.startswith("D") == (way == "message")) or way in ("button", "App Home"):
                for line in ("deploy prod", "scale prod web 3"):
                    say(slack, way, user, channel, line)
        done = [o.line for o in store.history(limit=100)]
        if kind == "in the user group":
            assert done and set(done) == {"deploy prod"}, "only what its rows say"
            before = len(done)
            slack.wait(lambda u=user: "may not scale on prod" in heard(slack, u))
        else:
            assert len(done) == before, f"{kind} could do {done[0]}"
            if kind != "a bot, even in the group" or way in ("button", "App Home"):
                slack.wait(lambda u=user, k=kind: reasons[k] in heard(slack, u), what=kind)


def say(slack: Slack, way: str, user: str, channel: str, line: str) -> None:
    if way == "mention":
        assert slack.mention(user, channel, line).acked
    elif way == "message":
        slack.say(user, channel, line)
    else:
        [pressed] = slack.presses([(user, line, channel if way == "button" else "")])
        assert pressed.acked


def heard(slack: Slack, user: str) -> str:
    """Return all that was said to one person and to nobody else."""
    said = [*slack.ephemerals(user), *slack.messages(slack.direct(user))]
    return "\n".join(m.wording for m in said if m.user != user)


def test_a_form_is_for_whoever_sends_it(
    slack: Slack, people, channels, running: Running, store: Store
):
    slack.rate_limits = False
    ops, *others = people.values()
    for user in others:
        slack.command(user, "/rotate-key", "TWITTER_KEY puppystream", "C0THERE")
        assert not slack.views(user), "a form opened for somebody who may not send it"
    slack.command(ops, "/rotate-key", "TWITTER_KEY", "C0THERE")
    form = slack.wait(lambda: next(iter(slack.views(ops)), None), what="the form opens")
    shown = next(b for b in form["blocks"] if b["block_id"] == "environment")
    on = [o["value"] for o in shown["element"]["options"]]
    assert on == ["puppystream", "puppycrate"], "only those that its row says"
    typed = {"environment": "puppystream", "value": "canary81x0123456789abcdef"}
    for user in others:
        sent = slack.submit(user, typed, form["id"])
        assert refused(str(sent.answer)), sent.answer
        assert store.history() == []
    slack.submit(ops, typed, form["id"])
    assert [o.line for o in store.history()] == ["rotate-key TWITTER_KEY puppystream"]


DOWN = {
    "told to wait": {"kind": "429", "retry_after": 30},
    "broken": {"kind": "500"},
    "away": {"kind": "503"},
    "cut off": {"kind": "dropped"},
    "no answer in time": {"kind": "slow", "delay": 30.0},
    "an error": {"kind": "error", "error": "internal_error"},
    "no token any more": {"kind": "error", "error": "token_revoked"},
    "no JSON": {"kind": "nonsense"},
    "JSON about nothing": {"kind": "nonsense", "text": '{"ok": true}'},
    "JSON about nobody": {"kind": "nonsense", "text": '{"ok": true, "user": {}, "users": ""}'},
    "JSON about somebody else": {
        "kind": "nonsense",
        "text": '{"ok":true, "user": {"id": "U0ADA", "team_id":"T0LAB"}, "users": {"U0KIND0": 1}}',
    },
}


@pytest.mark.parametrize("method", ["users.info", "usergroups.users.list"])
@pytest.mark.parametrize("how", DOWN)
def test_nobody_may_anything_while_slack_cannot_say_who_they_are(
    slack: Slack, people, lines: Lines, dispatcher: Dispatcher, store: Store, config: Config,
    method: str, how: str,
):  # fmt: skip
    """At the start, and once what was known is too old."""
    said = list(lines.every())
    before = len(store.history(limit=1000))
    slack.rate_limits = False

    def all_refused(directory: SlackDirectory) -> None:
        for kind, user in people.items():
            team = slack.user(user).team
            for number, line in enumerate(said):
                who = directory.who(user, {team})
                reply = dispatcher.ask(Request(f"{user}-{number}-{how}", line.text, who))
                assert not reply.ok and refused(reply.text), f"{kind}: {line.text}: {reply.text}"
        told = dispatcher.ask(Request("why", "deploy prod", directory.who("U0KIND0", {"T0LAB"})))
        assert told.text == STATUS["unreachable"]

    async def work() -> None:
        clock = Clock()
        async with aiohttp.ClientSession() as patient, aiohttp.ClientSession(timeout=SOON) as hasty:
            under_fault = hasty if how == "no answer in time" else patient
            web = Web(under_fault, slack.bot_token, slack.api_url, clock=clock)
            slack.fault(method, seconds=60, **DOWN[how])
            new = SlackDirectory(config, web, clock)
            await try_to_load(new)
            all_refused(new)
            slack.clear_faults()
            clock.now += 60
            web.session = patient  # an answer that comes may take its time on a busy machine
            await new.load()
            web.session = under_fault
            assert dispatcher.ask(Request("well", "status", new.who("U0KIND0", {"T0LAB"}))).ok
            slack.fault(method, seconds=60, **DOWN[how])
            clock.now += STALE_SECONDS + 1
            await try_to_load(new)
            all_refused(new)

    asyncio.run(work())
    assert len(store.history(limit=1000)) == before + 1  # the one that was said while all was well


SOON = aiohttp.ClientTimeout(total=0.3)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def try_to_load(directory: SlackDirectory) -> None:
    with contextlib.suppress(Away, Lost):
        await directory.load()
