"""What people say and see: `deploy = ada.says("/deploy prod master"); deploy.ends("done")`."""

from __future__ import annotations

import re
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from bot.events import Event, Output, Planned, StepEnded, StepProgress, StepStarted
from bot.fronts.poster import KIND
from bot.store import Operation
from tests.e2e.world import BOT, CHANNELS, World
from tests.lab.slack.records import Message
from tests.waiting import PATIENCE, until

ACCEPTED = re.compile(r"accepted as #(\d+)")
SAID_AGAIN = "said again"


@dataclass(frozen=True)
class Person:
    """Somebody in Slack."""

    id: str
    world: World
    # Held while a line is typed and answered: where the bot is killed, that is not then.
    calm: AbstractContextManager[object] = field(default=nullcontext(), compare=False)

    def says(self, text: str, channel: str = "C0PROD", thread: str = "") -> Asked:
        """Type a slash command, or mention the bot; it is heard within Slack's three seconds."""
        with self.calm:
            return self._says(text, channel, thread)

    def _says(self, text: str, channel: str, thread: str) -> Asked:
        slack, before = self.world.lab.slack, len(self.hears())
        if text.startswith("/"):
            name, _, rest = text.partition(" ")
            delivery = slack.command(self.id, name, rest, channel)
            answer = str((delivery.answer or {}).get("text", ""))
        else:
            delivery = slack.mention(self.id, channel, text, thread or None)
            answer = ""
        assert delivery.acked, f"not acked: {text!r} ({delivery.error})"
        asked = Asked(self, text, before, answer)
        if not text.startswith("/"):
            asked.answer = asked.is_told("")  # a mention is acked with nothing
        return asked

    def clicks(self, card: Message, action: str, stale: bool = False) -> Asked:
        """Press a button; what is answered comes privately."""
        before = len(self.hears())
        delivery = self.world.lab.slack.click(self.id, card.ts, action, stale=stale)
        assert delivery.acked, f"not acked: {action} ({delivery.error})"
        asked = Asked(self, action, before, "")
        asked.answer = asked.is_told("")
        return asked

    def hears(self, channel: str = "") -> list[str]:
        """All that the bot has told this person alone, as they read it."""
        told = self.world.lab.slack.ephemerals(self.id)
        return [m.wording for m in told if m.user == BOT and channel in ("", m.channel)]


class Asked:
    """Something that somebody said, and all that came of it."""

    def __init__(self, person: Person, said: str, before: int, answer: str) -> None:
        self.person, self.said, self.answer = person, said, answer
        self.world, self._before = person.world, before

    # what the one who asked is told

    def is_told(self, *texts: str) -> str:
        """Wait until all of these were told to the one who asked alone; return all of it."""

        def told() -> str:
            return "\n".join(self.person.hears()[self._before :])

        def seen() -> str:
            return told() if told() and all(text in told() for text in texts) else ""

        return until(seen, lambda: f"{self.said!r} is answered {told()!r} and not {texts}")

    def is_refused(self, *texts: str) -> None:
        """Nothing comes of it but an answer: a sentence, at most with a hint below it."""
        answer = self.is_told(*texts)
        if ACCEPTED.search(answer):
            self.ends("failed")
            answer = ACCEPTED.split(self.is_told(*texts))[-1]
        for no_sentence in ("Traceback", "bug of Packlead", "None", "<!"):
            assert no_sentence not in answer, f"{self.said!r} is answered {answer!r}"
        lines = [line for line in answer.splitlines() if line.strip()]
        assert len(lines) <= 4, f"a long story: {answer!r}"

    # how it goes on

    @property
    def number(self) -> int:
        found = ACCEPTED.search(self.answer)
        assert found, f"{self.said!r} was not accepted, but answered {self.answer!r}"
        return int(found[1])

    @property
    def operation(self) -> Operation:
        found = self.world.store.get(f"#{self.number}")
        assert found, f"there is no #{self.number} in the database"
        return found

    @property
    def events(self) -> list[Event]:
        return [entry.event for entry in self.world.store.entries(self.operation.id)]

    def does(self, step: str, task: str = "") -> None:
        """Wait until a step of its plan has begun, and in it a task, on a host."""

        def seen() -> bool:
            steps = [e for e in self.events if isinstance(e, StepStarted | StepProgress)]
            outputs = [e.task for e in self.events if isinstance(e, Output)]
            return any(e.step == step and task in e.detail for e in steps) or task in outputs

        until(seen, lambda: f"#{self.number} does {task or step}; {self._stands()}")

    def ends(self, state: str, seconds: float = PATIENCE) -> Asked:
        """Wait until it has ended, so; whoever looks at Slack sees it a moment later."""
        until(
            lambda: not self.operation.live,
            lambda: f"#{self.number} ends; {self._stands()}", seconds,
        )  # fmt: skip
        found = self.operation.state
        assert found == state, f"#{self.number} is {found} and not {state}; {self._stands()}"
        return self

    def is_told_in_full(self, seconds: float = PATIENCE) -> Asked:
        """Wait until Slack shows all of it, and what followed up (the image)."""
        children = self.world.store.children(self.operation.id)
        mine = [self.operation, *(child for child in children if child.audience)]
        for operation in mine:
            until(
                lambda o=operation: self.world.store.note(KIND, o.id).get("finished"),  # type: ignore[misc]
                f"Slack shows all of #{operation.number} ({operation.line})", seconds,
            )  # fmt: skip
        return self

    def is_followed_up(self, state: str = "done") -> Asked:
        """Wait until the image is made."""
        children = until(
            lambda: self.world.store.children(self.operation.id), "something follows up"
        )
        for child in children:
            until(lambda c=child: not self.world.store.get(c.id).live, child.line)  # type: ignore[misc, union-attr]
            found = self.world.store.get(child.id)
            assert found and found.state == state, f"{child.line} is {found and found.state}"
        return self

    def is_said_so_far(self) -> None:
        """Wait until Slack shows what was told up to now, and nothing is on its way there."""

        def settled() -> bool:
            note = self.world.store.note(KIND, self.operation.id)
            planned = any(isinstance(event, Planned) for event in self.events)
            return planned and bool(note.get("told")) and "sending" not in note

        until(settled, lambda: f"Slack shows the plan of #{self.number}; {self._stands()}")

    # what everybody sees

    @property
    def card(self) -> Message:
        """Its card: one message, in a channel or in the thread in which it was asked."""
        found = self.cards()
        assert len(found) == 1, f"#{self.number} has {len(found)} cards"
        return found[0]

    @property
    def thread(self) -> list[Message]:
        """What the bot has said below its card, or beside it where that is in a thread."""
        return self.below(self.card)

    def below(self, card: Message) -> list[Message]:
        """The same of one card, where there may be several."""
        root = self.world.lab.slack.message(card.channel, card.thread_ts or card.ts)
        return [m for m in root.replies if m.user == BOT and m.ts > card.ts]

    def has_card(self, *texts: str) -> Message:
        """Wait until its card shows all of these."""

        def shown() -> str:
            return "\n".join(card.wording for card in self.cards())

        def seen() -> bool:
            return bool(shown()) and all(text in shown() for text in texts)

        until(seen, lambda: f"the card of #{self.number} shows {texts}, not {shown()!r}")
        return self.card

    def has_said(self, *texts: str) -> str:
        """Wait until its thread shows all of these, in this order; return the whole thread."""

        def thread() -> str:
            return "\n".join(message.wording for message in self.thread) if self.cards() else ""

        def seen() -> str:
            at, said = 0, thread()
            for text in texts:
                if (at := said.find(text, at)) < 0:
                    return ""
            return said

        return until(seen, lambda: f"the thread of #{self.number} shows {texts}, not {thread()!r}")

    def is_said_once(self) -> None:
        """No message of it stands twice in Slack, also not as a repeat that says that it is one."""
        said = [self.card.wording, *(message.wording for message in self.thread)]
        twice = {text for text in said if said.count(text) > 1 or SAID_AGAIN in text}
        assert not twice, f"said twice: {twice}"
        lines = [line for text in said[1:] for line in text.splitlines() if "serves" in line]
        assert len(lines) == len(set(lines)), f"a host is told twice: {lines}"

    def seconds(self) -> float:
        """How long it took, by its own record."""
        one = self.operation
        assert one.started and one.finished, f"#{self.number} has not ended"
        return one.finished - one.started

    def states(self) -> dict[str, str]:
        """How each step of it ended."""
        return {e.step: e.state for e in self.events if isinstance(e, StepEnded)}

    def cards(self) -> list[Message]:
        """Its card, as often as Slack has it: where an answer was lost, it is said again."""
        mark = re.compile(rf"·  #{self.number}(  ·|$)", re.MULTILINE)
        slack, found = self.world.lab.slack, []
        for channel in CHANNELS:
            for root in slack.messages(channel):
                found += [
                    m for m in (root, *root.replies) if m.user == BOT and mark.search(m.wording)
                ]
        return found

    def _stands(self) -> str:
        end = time.time() - self.operation.created
        told = [repr(event) for event in self.events[-4:]]
        return f"after {end:.1f} s it is {self.operation.state}, and last told {'; '.join(told)}"
