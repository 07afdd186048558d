"""Who may speak is known from memory, and what is too old is worth nothing."""

import asyncio

import aiohttp
import pytest

from bot.config import Config
from bot.fronts.slack_people import STALE_SECONDS, SlackDirectory
from bot.fronts.slack_send import Away, Web
from tests.lab.slack import Slack

HOME = frozenset({"T0LAB"})


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def known(config: Config) -> Config:
    people = {f"p{n}": {"slack": id} for n, id in enumerate(("U0GUEST", "U0GONE", "U0ROBOT"))}
    data = config.model_dump()
    return Config.model_validate(data | {"people": {**data["people"], **people}})


def load(slack: Slack, config: Config, clock: Time) -> SlackDirectory:
    async def work() -> SlackDirectory:
        async with aiohttp.ClientSession() as session:
            web = Web(session, slack.bot_token, slack.api_url)
            directory = SlackDirectory(config, web, clock)
            await directory.load()
            return directory

    return asyncio.run(work())


def test_kinds_of_people(strict: Slack, config: Config):
    clock = Time()
    directory = load(strict, known(config), clock)
    kinds = {
        user: directory.who(user, HOME).status
        for user in ("U0ADA", "U0GUEST", "U0GONE", "U0ROBOT", "U0EVE", "U0NOBODY")
    }
    assert kinds == {
        "U0ADA": "member", "U0GUEST": "guest", "U0GONE": "gone", "U0ROBOT": "bot",
        "U0EVE": "member", "U0NOBODY": "member",
    }  # fmt: skip
    assert directory.who("U0ADA", HOME).groups == {"S0OPS"}
    stranger = directory.who("U0ADA", frozenset({"T0LAB", "T0OTHER"}))
    assert (stranger.status, stranger.team) == ("stranger", "T0OTHER")


def test_somebody_of_an_enterprise_is_at_home_in_each_of_its_workspaces(
    strict: Slack, config: Config
):
    directory, click = load(strict, config, Time()), frozenset({"T0LAB", "T0HOME"})
    assert directory.who("U0ADA", click).status == "stranger"
    shared = {"id": "U0ADA", "team_id": "T0HOME", "enterprise_user": {"teams": ["T0LAB", "T0HOME"]}}
    directory.heard({"type": "user_change", "user": shared})
    assert (directory.who("U0ADA", click).status, directory.who("U0ADA", click).team) == (
        "member", "T0LAB",
    )  # fmt: skip
    assert directory.who("U0ADA", frozenset({"T0HOME"})).status == "stranger", "said elsewhere"
    directory.heard({"type": "user_change", "user": {"id": "U0ADA", "team_id": "T0HOME"}})
    assert directory.who("U0ADA", click).status == "stranger"


def test_more_people_than_slack_takes_in_a_minute_are_all_read(slack: Slack, config: Config):
    slack.rate_limits = 5.0  # a minute passes in twelve seconds: a slow machine asks fast enough
    people = {f"p{n}": {"slack": f"U0P{n:03}"} for n in range(150)}
    data = config.model_dump()
    many = Config.model_validate(data | {"people": {**data["people"], **people}})

    async def work() -> tuple[int, set[str]]:
        async with aiohttp.ClientSession() as session:
            web = Web(session, slack.bot_token, slack.api_url)
            directory, tries = SlackDirectory(many, web), 0
            while True:
                tries += 1
                try:
                    await directory.load()
                    return tries, {directory.who(f"U0P{n:03}", HOME).status for n in range(150)}
                except Away as away:
                    await asyncio.sleep(away.seconds)

    tries, kinds = asyncio.run(work())
    assert kinds == {"gone"}, "the next load goes on with those that are left"
    assert tries > 1


def test_changes_are_heard_and_old_knowledge_expires(strict: Slack, config: Config):
    clock = Time()
    directory = load(strict, config, clock)
    directory.heard(
        {"type": "subteam_members_changed", "subteam_id": "S0OPS", "removed_users": ["U0ADA"]}
    )
    assert directory.who("U0ADA", HOME).groups == frozenset()
    gone = {"id": "U0ADA", "team_id": "T0LAB", "deleted": True}
    directory.heard({"type": "user_change", "user": gone})
    assert directory.who("U0ADA", HOME).status == "gone"
    clock.now += STALE_SECONDS + 1
    assert {directory.who(u, HOME).status for u in ("U0BOB", "U0NOBODY")} == {"unreachable"}


def test_nobody_may_anything_before_slack_was_asked(slack: Slack, config: Config):
    fault = slack.fault("users.info", "503", seconds=30)
    with pytest.raises(Away):
        load(slack, config, Time())
    fault.clear()
    slack.fault("usergroups.users.list", "error", error="no_such_subteam")
    directory = load(slack, config, Time())
    assert directory.who("U0ADA", HOME).groups == frozenset()


def test_commands_are_refused_while_slack_cannot_say_who_asks(slack: Slack, launch, store):
    slack.fault("users.info", "503", seconds=60)
    launch()
    answer = slack.command("U0ADA", "/deploy", "prod master").answer
    assert "cannot be asked who you are" in answer["text"] and store.history() == []
    slack.clear_faults()
    slack.wait(lambda: "accepted" in slack.command("U0ADA", "/deploy", "prod").answer["text"])
