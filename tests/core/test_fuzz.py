"""Whatever is typed or pushed: an answer; nothing is executed by it, and nobody called.

What is odd is made in odd.py. A canary is a file that appears wherever a payload is executed.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.adapters.git import Git
from bot.command import REF
from bot.config import Config
from bot.dispatcher import Dispatcher, Request
from bot.errors import BotError, Misunderstood
from bot.events import Accepted, Entry, Note, Planned, Stopped
from bot.fronts import cards, posts
from bot.fronts.cards import Style
from bot.fronts.github import PATH
from bot.fronts.story import Story
from bot.operations import Operation
from bot.parse import Call, normalise, parse
from bot.people import Who
from bot.store import Store
from tests.core import odd
from tests.fronts.test_github import SECRET, Served, payload
from tests.lab.webhooks import Webhooks

MANY = 10_000
UNDERSTOOD = 0.4  # of the lines, at least; else they would show little
DICE = 20_260_727


@pytest.fixture
def canary() -> Iterator[str]:
    """The file that must not appear, wherever somebody would execute a payload."""
    folder = Path(tempfile.mkdtemp(prefix="pl"))
    yield str(folder / "C")
    found = list(folder.iterdir())
    for file in found:
        file.unlink()
    folder.rmdir()
    assert not found, "a payload was executed"


@pytest.fixture
def rules(canary: str) -> Config:
    """Two environments, and one for each branch that is a payload."""
    auto = {f"at-{chr(97 + n)}": b.replace("FILE", canary) for n, b in enumerate(odd.BRANCHES)}
    return Config.model_validate(
        {
            "app": {"repository": "app.git"}, "types": {"web": {}, "celery": {"minimum": 1}},
            "slack": {"team": "T0LAB"}, "github": {"repository": "lab/kennel", "service": "ada"},
            "environments": {e: {"channel": "C0X"} for e in ("prod", "puppystream")}
            | {e: {"channel": "C0X", "auto": branch} for e, branch in auto.items()},
            "people": {"ada": {"slack": "U0ADA"}},
            "permissions": [{"who": ["ada"], "may": ["*"]}],
        }
    )  # fmt: skip


def test_ten_thousand_lines_are_understood_or_answered(rules: Config, canary: str):
    dice, lines = random.Random(DICE), set[str]()
    while len(lines) < MANY:  # every second one by the grammar; what was there counts once
        made = odd.by_grammar if len(lines) % 2 else odd.at_random
        lines.add(made(dice, canary))
    understood = sum(is_understood_or_answered(line, rules) for line in sorted(lines))
    assert understood > UNDERSTOOD * MANY, f"only {understood} of {len(lines)} were understood"


def is_understood_or_answered(line: str, rules: Config) -> bool:
    try:
        call = parse(line, odd.KNOWN, rules)
    except BotError as error:
        inert(cards.answer(str(error)), line)
        return False
    assert call.command.name in normalise(line).lower()
    if call.command.changes:
        assert call.environment in normalise(line), "what changes something has named where"
    assert parse(call.line, odd.KNOWN, rules).line == call.line, "its own line means the same again"
    is_told_without_harm(call)
    return True


def is_told_without_harm(call: Call) -> None:
    """It is shown as a card, below it and in words, and nothing of it is alive there."""
    row = Operation(12, "id", call.line, call.command.name, call.environment, "ada", "slack",
                    created=1.0, state="running", audience={})  # fmt: skip
    story = Story(row)
    said = " ".join(str(value) for value in call.arguments.values())
    told = (
        Accepted(call.line, "ada", "slack"),
        Planned(call.line, (said,)),
        Note(said),
        Stopped(said, call.line),
    )
    for number, event in enumerate(told, 1):
        story.add(Entry(number, "id", str(number), 1.0, event))
    for style in Style:
        inert(cards.card(story, style, odd.KNOWN), call.line)
        inert(posts.post(story.lines, story, style), call.line)
    inert(cards.answer(f"{call.line}: accepted as #12"), call.line)


@pytest.fixture
def store() -> Iterator[Store]:
    """In memory where there is such a folder: thousands of writes, and nobody's power fails."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        store = Store(f"sqlite:///{folder}/packlead.db", key=b"k" * 32)
        yield store
        store.close()


def test_what_every_command_is_given_is_recorded_and_not_executed(
    rules: Config, store: Store, canary: str
):
    dispatcher, dice = Dispatcher(rules, odd.KNOWN, store), random.Random(DICE)
    accepted = dict.fromkeys(odd.KNOWN, 0)
    who = Who("slack", "U0ADA", "T0LAB")
    for number in range(500):
        command = list(odd.KNOWN.values())[number % len(odd.KNOWN)]
        line = odd.by_grammar(dice, canary, command)
        reply = dispatcher.ask(Request(f"r{number}", line, who))
        assert "bug" not in reply.text or "bug" in line, f"{line!r}: {reply.text}"
        inert(cards.answer(reply.text), line)
        accepted[command.name] += reply.ok
    free = {c.name for c in odd.KNOWN.values() if not c.here}
    assert not [name for name in free if not accepted[name]], f"never accepted: {accepted}"


def test_ten_thousand_names_that_git_takes_are_inert_or_refused(rules: Config, tmp_path: Path):
    dice = random.Random(DICE)
    refs = [odd.branch(dice, number) for number in range(MANY)]
    assert taken_by_git(refs, tmp_path) == set(refs), "git takes none of these"
    read = sum(is_inert_or_refused(ref, rules) for ref in refs)
    assert read > MANY / 100, f"only {read} were read as refs at all"


def taken_by_git(refs: list[str], folder: Path) -> set[str]:
    """Return those of the names that git itself takes for branches."""
    ids = repository(folder)
    rows = sorted(f"{ids} refs/heads/{ref}\n".encode() for ref in refs)
    (folder / "app.git" / "packed-refs").write_bytes(b"".join(rows))
    words = ["git", "for-each-ref", "--format=%(refname)", "refs/heads/"]
    told = subprocess.run(words, cwd=folder / "app.git", capture_output=True, check=True)
    return {name.removeprefix("refs/heads/") for name in told.stdout.decode().split("\n") if name}


def repository(folder: Path) -> str:
    """Make app.git with one commit there, and return its id."""
    path = folder / "app.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "master", str(path)], check=True)
    made = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    tree = subprocess.run(["git", "mktree"], cwd=path, input=b"", capture_output=True, check=True)
    words = [*made, "commit-tree", "-m", "wag", tree.stdout.decode().strip()]
    done = subprocess.run(words, cwd=path, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def is_inert_or_refused(ref: str, rules: Config) -> bool:
    try:
        read = parse(f"deploy prod {ref}", odd.KNOWN, rules).arguments["ref"]
    except Misunderstood as error:
        inert(cards.answer(str(error)), ref)
        return False
    assert REF.fullmatch(read) and not set(read) & set("$`{}()<>|;&!'\"\\*?~ \t\n"), read
    assert not read.startswith("-")
    return True


def test_git_executes_no_ref(tmp_path: Path, canary: str):
    """Not even one that nobody can type: a deploy reads the branch of an environment as it is."""
    id = repository(tmp_path)
    names = [name.replace("FILE", canary) for name in odd.BRANCHES]
    rows = sorted(f"{id} refs/heads/{name}\n" for name in [*names, "master"])
    (tmp_path / "app.git" / "packed-refs").write_text("".join(rows))
    git = Git(str(tmp_path / "app.git"), tmp_path / "mirror")
    found = 0
    for ref in [*names, *(value.replace("FILE", canary) for value in odd.SPACED)]:
        try:
            assert git.resolve(ref).id == id
            found += 1
        except BotError as error:
            inert(cards.answer(str(error)), ref)
    assert found >= len(names) / 2, f"git found {found} of {len(names)} branches that are there"
    assert git.resolve("master").id == id


@pytest.fixture
def hooks(rules: Config, store: Store) -> Iterator[Webhooks]:
    served = Served(rules, Dispatcher(rules, odd.KNOWN, store), store)
    served.start()
    hooks = Webhooks(SECRET)
    hooks.url = served.url + PATH
    yield hooks
    served.stop()


def test_a_push_executes_and_calls_nobody(
    rules: Config, store: Store, hooks: Webhooks, canary: str
):
    dice = random.Random(DICE)
    autos = [e.auto for e in rules.environments.values() if e.auto]
    others = [odd.branch(dice, number) for number in range(200)]
    others += [value.replace("FILE", canary) for value in (*odd.BRANCHES, *odd.SPACED)]
    for number, ref in enumerate([*autos, *others]):
        evil = odd.anything(dice, canary)
        sender = {"login": evil, "id": evil}
        told = payload(f"{number + 1:040x}", ref=ref, sender=sender, pusher={"name": evil})
        status = hooks.deliver("push", told, delivery=f"d{number}").status
        assert status in ((200, 202) if ref in autos else (204,)), f"{ref}: {status}"
    rows = store.history(limit=1000)
    assert {row.environment for row in rows} == {
        e.name for e in rules.environments.values() if e.auto
    }
    for row in rows:
        assert row.command == "tell" or REF.fullmatch(row.line.split()[2]), row.line
        is_told_without_harm(parse(row.line, odd.KNOWN, rules))


def inert(message: dict[str, object], typed: str) -> None:
    """Nothing of it may be alive in Slack: no mention, no link, no markup."""
    for shown in _markup(message):
        assert not re.search(r"<(!(?!date\^)|@|#|https?:)", shown), f"{typed!r}: {shown}"
        assert "Traceback" not in shown or "Traceback" in typed


def _markup(node: object) -> Iterator[str]:
    """Return what Slack reads as markup: all of its texts but those of fixed width."""
    if isinstance(node, dict):
        if node.get("type") in ("rich_text", "plain_text"):
            return
        for value in node.values():
            yield from _markup(value)
    elif isinstance(node, list):
        for value in node:
            yield from _markup(value)
    elif isinstance(node, str):
        yield node
