"""Whatever is typed: an answer, and nothing run that was not said; nobody is called by it."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import commands
from bot.command import REF, find
from bot.config import Config
from bot.errors import BotError, Misunderstood
from bot.fronts import cards
from bot.parse import normalise, parse

EACH, MORE = 20, 1.4  # lines of an example, which takes time of its own; some come twice
MANY = settings(
    max_examples=int(10_000 * MORE / EACH), deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
KNOWN = find(commands)
NASTY = (
    "<!channel>", "<!here>", "<@U0ADA>", "@everyone", "$(id)", "`id`", "{{ lookup('pipe','id') }}",
    "--upload-pack=x", "; rm -rf /", "\x00", "\u202e", "‘", "”", "—keep", "&amp;", "../..", "'",
    '"', "until", "--",
)  # fmt: skip
WORDS = st.one_of(
    st.sampled_from([*KNOWN, "prod", "puppystream", "web", "master", "3", "+1", *NASTY]),
    st.text(max_size=12),
)  # fmt: skip
LINES = st.one_of(st.lists(WORDS, max_size=8).map(" ".join), st.text(max_size=200))
# What git itself takes for the name of a branch (git check-ref-format), and much that is odd in it.
REFS = st.text(
    st.sampled_from(string.ascii_letters + string.digits + "-._/@+=#$(){}<>!%&'`|;,\"äß漢"),
    min_size=1, max_size=40,
).filter(
    lambda ref: not (
        re.search(r"\.\.|//|@\{|\.lock(/|$)|(^|/)\.|[/.]$|^/|^-", ref) or ref == "@"
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def rules() -> Config:
    return Config.model_validate(
        {
            "app": {"repository": "app.git"}, "types": {"web": {}, "celery": {"minimum": 1}},
            "environments": {e: {"channel": "C0X"} for e in ("prod", "puppystream")},
        }
    )  # fmt: skip


@MANY
@given(st.lists(LINES, min_size=EACH, max_size=EACH, unique=True))
def test_ten_thousand_lines_are_understood_or_answered(rules, lines):
    for line in lines:
        is_understood_or_answered(line, rules)


def is_understood_or_answered(line: str, rules: Config) -> None:
    try:
        call = parse(line, KNOWN, rules)
    except BotError as error:
        inert(str(error), line)
        return
    said = normalise(line)
    assert call.command.name in said.lower()
    if call.command.changes:
        assert call.environment in said, "what changes something has named its environment"
    assert parse(call.line, KNOWN, rules).line == call.line, "its own line means the same again"


@MANY
@given(st.lists(REFS, min_size=EACH, max_size=EACH, unique=True))
def test_ten_thousand_names_that_git_takes_are_inert_or_refused(rules, refs):
    for ref in refs:
        is_inert_or_refused(ref, rules)


def is_inert_or_refused(ref: str, rules: Config) -> None:
    try:
        read = parse(f"deploy prod {ref}", KNOWN, rules).arguments["ref"]
    except Misunderstood as error:
        inert(str(error), ref)
        return
    assert REF.fullmatch(read) and not set(read) & set("$`{}()<>|;&!'\"\\*?~ \t\n"), read
    assert not read.startswith("-")


def inert(said: str, typed: str) -> None:
    """Nothing of it may be alive in Slack: no mention, no link, no markup."""
    assert "Traceback" not in said or "Traceback" in typed
    for shown in _strings(cards.answer(said)):
        assert not re.search(r"<(!|@|#|https?:)", shown), shown


def _strings(node: object):
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)
