"""Cards keep Slack's limits and let nothing act that others wrote, whatever the log holds."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.events import (
    Answered,
    Called,
    Done,
    Entry,
    Event,
    HostReport,
    Note,
    Output,
    Planned,
    Question,
    Step,
    StepEnded,
    StepProgress,
    StepStarted,
    Stopped,
)
from bot.fronts import cards, posts
from bot.fronts import slack_text as text
from bot.fronts.cards import Style
from bot.fronts.story import Story
from bot.store import Operation
from tests.lab.slack import validate_message

COMMANDS = ("cancel", "rollback", "approve", "reject")
EVIL = "<!channel> <@U0ADA> <https://evil|ok> & ``` \x1b[31m \u202e *x* _y_ \x00 :boom: "
WORDS = st.one_of(st.text(max_size=300), st.just(EVIL), st.just(EVIL * 200), st.just("x" * 9000))
LINES = st.lists(WORDS, max_size=40).map(tuple)
STEPS = st.lists(WORDS, max_size=80).map(
    lambda names: tuple(Step(f"{n} {name}", name) for n, name in enumerate(names))
)
EVENTS = st.one_of(
    st.builds(Planned, title=WORDS, lines=LINES, steps=STEPS, seconds=st.just(90.0)),
    st.builds(StepProgress, step=WORDS, detail=WORDS, done=st.just(3), total=st.just(7)),
    st.builds(StepEnded, step=WORDS, state=st.sampled_from(["done", "failed"]), detail=WORDS),
    st.builds(HostReport, host=WORDS, text=WORDS, ok=st.booleans()),
    st.builds(Output, host=WORDS, task=WORDS, text=WORDS, ok=st.booleans()),
    st.builds(Note, text=WORDS),
    st.builds(Called, text=WORDS, people=LINES),
    st.builds(Answered, lines=LINES, table=st.booleans()),
)
ENDS = st.one_of(
    st.none(),
    st.builds(Done, text=WORDS, lines=LINES),
    st.builds(Stopped, text=WORDS, hint=WORDS),
    st.builds(Question, text=WORDS, token=st.just("t"), about=LINES),
)


def story(
    *events: Event, line: str = "deploy prod master", command: str = "deploy", **row: object
) -> Story:
    values = {"state": "running", "exclusive": True, "audience": {"user": "U0ADA"}} | row
    made = Story(
        Operation(12, "id", line, command, "prod", "ada", "slack", created=1.0, **values)  # type: ignore[arg-type]
    )
    for number, event in enumerate(events, 1):
        made.add(Entry(number, "id", str(number), 1_700_000_000.0 + number, event))
    return made


def check(message: dict) -> None:
    assert validate_message(message) == []
    assert message["text"].strip() and len(message["text"]) <= 4000
    assert sum(map(len, strings(message))) < 20_000
    for mrkdwn in markup(message):
        for found in re.findall(r"<[^>]*>?", mrkdwn):
            assert re.match(r"<(!date\^\d+\^|@U0ADA>$)", found), found
        assert not re.search("[\x00-\x08\x1b\u202a-\u202e]", mrkdwn)


def strings(node: object):
    if isinstance(node, str):
        yield node
    for value in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from strings(value)


def markup(message: dict):
    yield message["text"]

    def walk(node: object):
        if isinstance(node, dict):
            if node.get("type") == "mrkdwn":
                yield node["text"]
            node = list(node.values())
        if isinstance(node, list):
            for value in node:
                yield from walk(value)

    yield from walk(message.get("blocks", []))


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=12), ENDS, WORDS.filter(str.strip))
def test_anything_makes_valid_and_inert_messages(events, end, line):
    made = story(*events, *([end] if end else []), line=line)
    for style in Style:
        check(cards.card(made, style, COMMANDS, again=True))
        for part in made.lines:
            check(posts.post([part], made, style, again=True))
        said = [line, *(e.text for e in events if isinstance(e, Note))]
        for table in (False, True):
            check(cards.private(said, style, table))


def test_buttons_are_those_that_are_valid_now():
    def labels(made: Story) -> list[str]:
        return [b["value"] for b in cards._buttons(made, COMMANDS)]

    assert labels(story()) == ["cancel #12"]
    assert labels(story(cancelled_by="ada")) == []
    begun = Planned("deploy", steps=(Step("prepare", "prepare"),)), StepStarted("prepare")
    assert labels(story(*begun, Done("well"))) == ["rollback prod --from #12"]
    assert labels(story(*begun, Stopped("ill"))) == [
        "deploy prod master", "rollback prod --from #12"
    ]  # fmt: skip
    assert labels(story(Stopped("it is frozen"))) == ["deploy prod master"], "nothing to go back to"
    assert labels(story(Question("sure?", "t"))) == ["approve #12 t", "reject #12"]
    assert cards._buttons(story(*begun, Done("well")), ("cancel",)) == []


def test_who_is_called_is_called_by_what_the_config_says_of_them():
    made = story(Called("it brings commits of", ("ada", "bob", "<!channel>")))
    for style in Style:
        message = posts.post(made.lines, made, style, people={"ada": "U0ADA"})
        check(message)
        shown = "".join(markup(message)) if style < Style.TEXT else message["text"]
        assert "it brings commits of <@U0ADA>, bob and &lt;!channel&gt;" in shown


def test_what_is_only_said_is_said_once():
    made = story(Planned("ada took bob's lock away"), Done(""), line="tell prod x", command="tell")
    message = cards.card(made, Style.PLAN, COMMANDS)
    check(message)
    assert message["text"] == "ada took bob's lock away" and made.lines == []
    assert "tell prod" not in str(message["blocks"])


def test_what_is_set_in_stands_below_the_line_before():
    made = story(Planned("deploy", ("2 commits:", "  abc1234 Paint it", "compare: x")))
    shown = "".join(markup(posts.post(made.lines, made, Style.PLAN)))
    assert "• 2 commits:\n    ◦ abc1234 Paint it\n• compare: x" in shown


def test_a_long_plan_is_folded():
    steps = tuple(Step(str(n), f"step {n}") for n in range(120))
    made = story(Planned("plan", steps=steps), StepProgress("70", "now"))
    (plan,) = [b for b in cards.card(made, Style.PLAN, ())["blocks"] if b["type"] == "plan"]
    titles = [task["title"] for task in plan["tasks"]]
    assert len(titles) == 50 and "step 70" in titles and titles[-1] == "and 71 more steps"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("prod feature/a&amp;b", "prod feature/a&b"),
        ("prod &lt;!channel&gt;", "prod <!channel>"),
        ("&amp;lt;", "&lt;"),
        ("<http://example.com|example.com>", "example.com"),
        ("<https://x.org/a>", "https://x.org/a"),
        ("<mailto:a@b.c|a@b.c>", "a@b.c"),
        ("get(<tel:4155551234|4155551234>)", "get(4155551234)"),
        ("<redis://cache/1>", "redis://cache/1"),
        ("<@U0ADA|ada> <#C0PROD|prod> <!subteam^S0OPS|@ops>", "@U0ADA #prod @S0OPS"),
        ("<!channel>", "<!channel>"),
    ],
)
def test_what_was_typed(given: str, meant: str):
    assert text.typed(given) == meant


def test_a_fence_inside_code_ends_nothing():
    assert text.code("a\n```\n<!here>").count("```") == 2
    assert len(text.code("<" * 9000)) <= text.SECTION
