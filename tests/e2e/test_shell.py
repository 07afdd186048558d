"""Django's shell in a direct message: what one types there, what comes back, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator

import pytest

from bot.events import Printed, Typed
from tests.e2e.people import Asked, Person
from tests.e2e.world import BOT, World, on_host, sshd_of
from tests.lab.slack.records import Message
from tests.waiting import PATIENCE, until


class Shell:
    """A shell that somebody opened, as they see it in their direct messages."""

    def __init__(self, person: Person, line: str, channel: str = "C0PROD") -> None:
        self.person, self.world, self.slack = person, person.world, person.world.lab.slack
        self.room = f"D{person.id[1:]}"
        self.begun = len(self.messages())
        self.asked: Asked = person.says(line, channel)

    def messages(self) -> list[Message]:
        return [m for m in self.slack.messages(self.room) if m.user == BOT]

    def opens(self, *texts: str) -> Shell:
        self.hears(*texts, "is open for")
        return self

    def types(self, text: str, *texts: str, seconds: float = PATIENCE) -> str:
        """Write a message in the direct messages, and wait for an answer with these texts."""
        before = len(self.messages())
        delivery = self.slack.say(self.person.id, self.room, text)
        assert delivery is not None and delivery.acked, f"not acked: {text!r}"
        return self.hears(*texts, after=before, seconds=seconds) if texts else ""

    def hears(self, *texts: str, after: int | None = None, seconds: float = PATIENCE) -> str:
        start = self.begun if after is None else after

        def said() -> str:
            return "\n".join(m.wording for m in self.messages()[start:])

        def seen() -> str:
            return said() if all(text in said() for text in texts) else ""

        return until(seen, lambda: f"the direct messages show {texts}, not {said()!r}", seconds)

    def log(self) -> str:
        """All that was printed, as the log of the operation has it."""
        found, after = "", 0
        while page := self.world.store.entries(self.asked.operation.id, after):
            found += "".join(e.event.text for e in page if isinstance(e.event, Printed))
            after = page[-1].number
        return found

    def ends(self, state: str, *texts: str, seconds: float = PATIENCE) -> None:
        self.asked.ends(state, seconds)
        self.hears(*texts)
        self.channel_is_told("the shell of", *texts[:1])

    def channel_is_told(self, *texts: str) -> None:
        channel = self.world.config.environments[self.asked.operation.environment].channel

        def said() -> str:
            return "\n".join(m.wording for m in self.slack.messages(channel)[-8:])

        until(lambda: all(t in said() for t in texts), lambda: f"{channel} shows {said()!r}")


@pytest.fixture
def nothing_stays(world: World) -> Iterator[None]:
    yield
    for left in world.store.live():  # of a test that failed: it must not stop the next one
        world.store.cancel(left.id, "the test")
    for name in ("prodmanager1", "puppystreamweb1"):
        until(lambda n=name: not on_host(world, n, "packlead_loop"), f"the shell on {name} ends")


pytestmark = pytest.mark.usefixtures("nothing_stays")


def test_a_conversation(world: World, ada: Person):
    before = len(world.lab.slack.messages("C0PROD"))
    shell = Shell(ada, "/shell prod look at the dogs")
    assert "it opens in your direct messages" in shell.asked.answer
    shell.opens("a shell on prodmanager1 of prod: look at the dogs", "15 min")
    shell.channel_is_told("ada opens a shell on prodmanager1, in direct messages: look at the dogs")
    shell.types("dogs = 6 * 7", "it printed nothing")
    shell.types("dogs", "42")
    shell.types("```for n in range(3):\n    print('dog', n)\nn```", "dog 0", "dog 2", "2")
    shell.types("import os; os.getcwd()", "/srv/app/releases/")
    shell.types("1 / 0", "ZeroDivisionError: division by zero")
    shell.types("from django.conf import settings; settings.SECRET_KEY", "[SECRET_KEY]")
    shell.types("'<!channel> & <b>'", "'<!channel> & <b>'")
    shell.types("settings.SECRET_KEY == 'kennel-secret-key-of-the-lab'", "True")
    again = ada.says("/shell prod another one")
    again.is_told(f"you have a shell open: #{shell.asked.number}")
    shell.types("exit", "it ended on prodmanager1")
    shell.ends("done", "it ended on prodmanager1")
    typed = [e.text for e in shell.asked.events if isinstance(e, Typed) and e.text]
    assert typed[:2] == ["dogs = 6 * 7", "dogs"]
    assert typed[-1] == "exit"
    secret = "kennel-secret-key-of-the-lab"
    assert secret not in shell.log()
    assert not any(secret in text for text in typed), "what was typed is kept without it"
    assert secret not in "".join(m.wording for m in shell.messages())
    told = [m.wording for m in world.lab.slack.messages("C0PROD")[before:]]
    assert not any("dogs = 6" in text or "ZeroDivision" in text for text in told)
    assert "there is no command" in shell.types("dogs", "there is no command")


@pytest.mark.soak
def test_two_megabytes(world: World, ada: Person):
    shell = Shell(ada, "/shell prod much").opens()
    shell.types(
        "for n in range(20000): print(f'{n:05} ' + 'x' * 100)",
        "… 19980 lines before: the log has them", "19999 xxx", seconds=60,
    )  # fmt: skip
    log = shell.log()
    assert len(log) > 2_000_000
    assert re.findall(r"^(\d{5}) ", log, re.MULTILINE) == [f"{n:05}" for n in range(20000)]
    shell.types("print('y' * 5_000_000)", "characters more were printed, which nobody kept")
    shell.types("1 + 1", "2")
    shell.types("exit")
    shell.ends("done", "it ended on prodmanager1")


@pytest.mark.soak
def test_an_endless_loop(world: World, ada: Person):
    shell = Shell(ada, "/shell prod loops").opens()
    shell.types("kept = 5")
    shell.types("while True: pass", "it was stopped: it ran for 8 s", "KeyboardInterrupt")
    shell.types("while True: pass")
    time.sleep(0.5)
    shell.types("^C", "it was stopped by Ctrl-C", "KeyboardInterrupt")
    shell.types("kept", "5")
    shell.types(
        "while True:\n  try:\n    for n in iter(int, 1): n + 1\n  except BaseException: pass",
        "did not stop at Ctrl-C: the shell was ended with it",
        seconds=40,
    )
    shell.ends("failed", "did not stop at Ctrl-C")


def test_cancelled(world: World, ada: Person):
    shell = Shell(ada, "/shell prod not for long").opens()
    shell.types("import time; time.sleep(1000)")
    ada.says(f"/cancel {shell.asked.number}")
    shell.asked.ends("cancelled")
    shell.hears("cancelled by ada")
    shell.channel_is_told("ada ended the shell of ada")


def test_the_bot_is_killed(world: World, ada: Person):
    shell = Shell(ada, "/shell prod bad luck").opens()
    shell.types("lucky = 7", "it printed nothing")
    world.bot.kill()
    until(lambda: not on_host(world, "prodmanager1", "packlead_loop"), "the host ends it")
    world.bot.start()
    shell.ends("failed", "Packlead was stopped in the middle, and the shell with it")
    shell.types("lucky", "there is no command")


@pytest.mark.soak
def test_the_connection_drops(world: World, ada: Person):
    shell = Shell(ada, "/shell prod a bad line").opens()
    shell.types("lucky = 7", "it printed nothing")
    shell.types("import time; time.sleep(60)")
    os.kill(sshd_of(on_host(world, "prodmanager1", "packlead_loop")[0]), signal.SIGKILL)
    shell.ends("failed", "the connection to prodmanager1 broke")


def test_time_is_over_and_there_is_no_manager(world: World, ada: Person):
    shell = Shell(ada, "/shell puppystream quick look", "C0PUPPY")
    shell.opens("puppystream has no running manager: it is puppystreamweb1")
    shell.types("'still there'", "'still there'")
    shell.ends("done", "15 s are over: it was ended on puppystreamweb1")


def test_nobody_else_reaches_it(world: World, ada: Person, bob: Person):
    bob.says("/shell prod please").is_refused("bob may not shell on prod", "ada may")
    ada.says("/shell prod").is_refused("shell needs a REASON")
    ada.says("/shell puppycrate why not").is_told("puppycrate has no shell", "shell = true")
    shell = Shell(ada, "/shell prod mine alone").opens()
    shell.types("secret = 'mine'", "it printed nothing")
    world.lab.slack.say("U0BOB", "D0BOB", "print('bob was here')")
    world.lab.slack.say("U0ADA", "C0PROD", "print('in the channel')")
    ada.says("print('mentioned')", "C0PROD").is_told("there is no command")
    bob.says("/packlead status puppystream", "C0PUPPY").is_told("puppystreamweb1")
    shell.types("secret", "'mine'")
    assert "status" in ada.says("/packlead help", shell.room).answer, "a slash command stays one"
    typed = [e.text for e in shell.asked.events if isinstance(e, Typed) and e.text]
    assert typed == ["secret = 'mine'", "secret"]
    shell.types("exit()")
    shell.ends("done", "it ended on prodmanager1")
