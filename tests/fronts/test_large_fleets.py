"""A deploy to a thousand hosts is a card and a thread like any other, and its plan can be read."""

from __future__ import annotations

from bot.adapters.aws.records import Instance
from bot.adapters.records import Commit, Live
from bot.config import Config
from bot.events import Done, Event, HostReport, Question, StepEnded, StepProgress
from bot.fronts import cards, posts
from bot.fronts.cards import Style
from bot.fronts.story import Story
from bot.going import Going
from commands.deploy import plan
from tests.fronts.test_cards import COMMANDS, check, story

HOSTS = tuple(
    Instance(f"i-{n:017x}", f"prod{type}{n}", "prod", type, f"10.0.{n // 250}.{n % 250}", "running")
    for type, count in (("web", 100), ("celery", 900))
    for n in range(1, count + 1)
)
NEW, OLD = "b" * 40, "a" * 40


def told(config: Config, *events: Event) -> Story:
    live = tuple(Live(host.name, OLD) for host in HOSTS)
    commit = Commit(NEW, "master", "Open at nine")
    planned = plan(config, config.environments["prod"], HOSTS, commit, live, Going(), [])
    assert max(map(len, planned.lines)) < 500, "names are listed, and then counted"
    return story(planned, *events)


def test_its_card_and_its_thread_keep_slacks_limits(config: Config):
    prepared = StepProgress("prepare", "3 of 5 shards, build the virtualenv", 600, 1000)
    reports = [HostReport(host.name, f"runs {NEW[:7]}", "switch the rest") for host in HOSTS]
    made = told(config, prepared, StepEnded("prepare"), *reports, Done("prod runs bbbbbbb"))
    assert len(made.tasks) == 4
    for style in Style:
        check(cards.card(made, style, COMMANDS))
        check(posts.post(made.lines[:1], made, style))
        check(posts.post(made.lines[1:49], made, style))


def test_its_card_says_how_far_it_is(config: Config):
    prepared = StepProgress("prepare", "3 of 5 shards, build the virtualenv", 600, 1000)
    shown = str(cards.card(told(config, prepared), Style.PLAN, COMMANDS))
    assert "prepare 1000 hosts 600/1000" in shown
    assert "3 of 5 shards, build the virtualenv" in shown


def test_a_question_about_all_of_them_can_be_asked(config: Config):
    about = tuple(f"{host.name} ({host.id}) runs {OLD[:7]}" for host in HOSTS)
    made = told(config, Question("deploy: sure?", "token", about))
    for style in Style:
        check(cards.card(made, style, COMMANDS))
