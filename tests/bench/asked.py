"""Deploys asked for in the lab's Slack, and followed there until the card says that it is over."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from bot.events import Entry
from bot.fronts.cards import SIGNS
from bot.store import Operation, Store
from tests.bench.bot import Bot
from tests.lab.lab import Lab
from tests.lab.slack import Message

OVER = {SIGNS[state]: state for state in ("done", "failed", "cancelled")}
LOOK = '"""What a visitor sees change from one commit to the next."""\n\n'


@dataclass(frozen=True)
class Asked:
    """A request that was accepted: its number, and when it was said."""

    number: str
    at: float


@dataclass(frozen=True)
class Deploy:
    """One deploy, or another change, as the person who asked for it saw it."""

    state: str  # done, failed or cancelled
    seconds: float  # from the slash command to the final card
    asked: float  # Unix seconds, as in the log
    shown: float
    card: Message
    operation: Operation
    entries: list[Entry]

    @property
    def thread(self) -> str:
        return "\n".join(reply.wording for reply in self.card.replies)


class Asker:
    """Ada, who asks for deploys. What happened is read from the bot's own database afterwards."""

    def __init__(self, lab: Lab, bot: Bot, user: str = "U0ADA") -> None:
        self.lab, self.user = lab, user
        self.store = Store(f"sqlite:///{bot.data / 'packlead.db'}", patience=30)

    def deploy(self, ref: str, environment: str = "prod", patience: float = 240) -> Deploy:
        """Ask, and return when all of it is told."""
        return self.end(self.begin(ref, environment), patience)

    def begin(self, ref: str, environment: str = "prod", channel: str = "C0PROD") -> Asked:
        """Ask, and return at once."""
        return self.say("/deploy", f"{environment} {ref}", channel)

    def say(self, command: str, words: str, channel: str = "C0PROD") -> Asked:
        """Say any command that becomes an operation, and return at once."""
        at = time.time()
        given = self.lab.slack.command(self.user, command, words, channel)
        number = re.search(r"#(\d+)", str(given.answer))
        if not given.acked or not number:
            raise RuntimeError(f"{command} {words}: {given.error or given.answer}")
        return Asked(number.group(1), at)

    def question(self, asked: Asked, patience: float = 60) -> Message:
        """Return the card of a request once it asks whether that is meant."""
        channel, sign = "C0PROD", SIGNS["asking"]
        mark = re.compile(rf"#{asked.number}(  |$)", re.MULTILINE)

        def asking() -> list[Message]:
            shown = self.lab.slack.messages(channel)
            return [m for m in shown if m.wording.startswith(sign) and mark.search(m.wording)]

        self.lab.slack.wait(asking, patience, f"the question of #{asked.number}")
        return asking()[0]

    def approve(self, asked: Asked) -> Asked:
        """Answer its question with yes, by the button; return what goes on then."""
        card, at = self.question(asked), time.time()
        given = self.lab.slack.click(self.user, card.ts, "once:approve")
        if not given.acked:
            raise RuntimeError(f"yes to #{asked.number}: {given.error}")

        def goes_on() -> re.Match[str] | None:
            return re.search(r"it is #(\d+) now", self.lab.slack.message("C0PROD", card.ts).text)

        self.lab.slack.wait(goes_on, 30, f"what comes of yes to #{asked.number}")
        found = goes_on()
        assert found
        return Asked(found.group(1), at)

    def end(self, asked: Asked, patience: float = 240) -> Deploy:
        """Return when the final card is there, and the whole thread."""
        number, slack = asked.number, self.lab.slack
        slack.wait(lambda: self._card(number), patience, f"the final card of #{number}")
        operation = self.store.get(number)
        assert operation
        until = time.monotonic() + 15
        while operation.id in {o.id for o in self.store.unfinished("slack")}:
            if time.monotonic() > until:
                raise RuntimeError(f"the thread of #{number} does not end")
            time.sleep(0.1)
        card = self._card(number)
        assert card
        sign = next(s for s in OVER if card.wording.startswith(s))
        shown = next(
            call.at + call.seconds for call in slack.calls
            if call.ok and call.method.startswith("chat.") and call.args.get("text") == card.text
        )  # fmt: skip
        entries = self.store.entries(operation.id)
        return Deploy(OVER[sign], shown - asked.at, asked.at, shown, card, operation, entries)

    def wait_idle(self, patience: float = 120) -> None:
        """Return when the bot has nothing to do any more: images are made after a deploy."""
        until = time.monotonic() + patience
        while live := self.store.live():
            if time.monotonic() > until:
                raise RuntimeError(f"still at work: {', '.join(o.line for o in live)}")
            time.sleep(0.3)

    def close(self) -> None:
        self.store.close()

    def _card(self, number: str) -> Message | None:
        """Return the card of an operation, once it says how it ended."""
        for channel in ("C0PROD", "C0PUPPY", "C0OPS"):
            for message in self.lab.slack.messages(channel):
                if f"(#{number}, " in message.text and message.wording.startswith(tuple(OVER)):
                    return message
        return None


def new_commit(lab: Lab, number: int, branch: str = "master") -> str:
    """Push a commit that changes what visitors see, and return it."""
    text = f'{LOOK}HEADLINE = "The Kennel, {number}"\nCOLOUR = "#2e7d4f"\n'
    return lab.git.commit(branch, {"pages/look.py": text}, f"Paint it for the {number}th time")
