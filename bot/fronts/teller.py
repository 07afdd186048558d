"""Keeps one operation's card and thread in Slack as its story goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from sqlalchemy.exc import OperationalError

from bot import words
from bot.events import Answered, Done, Entry
from bot.fronts import cards, posts
from bot.fronts.blocks import BLOCKS
from bot.fronts.cards import Message, Style
from bot.fronts.poster import KIND, Desk, Poster, tell
from bot.fronts.slack_send import Away, Lost, No
from bot.fronts.story import Line, Story
from bot.store import Operation

log = logging.getLogger(__name__)

EDIT_SECONDS = 3.0
URL_SECONDS, URL_USES = 29 * 60.0, 5
TOGETHER = 5000  # characters that are said in one message, rather than in several
NEVER = float("inf")
# What Slack would say of every further message of a thread too.
LASTING = {
    "channel_not_found", "is_archived", "not_in_channel", "restricted_action",
    "restricted_action_non_threadable_channel", "restricted_action_read_only_channel",
    "restricted_action_thread_locked", "restricted_action_thread_only_channel",
    "thread_not_found", "message_not_found", "team_access_not_granted", "missing_scope",
}  # fmt: skip
Home = Mapping[str, Any]


class Teller:
    """One operation, told in Slack. `step` brings Slack up to the story, as far as Slack allows."""

    def __init__(self, operation: Operation, note: Mapping[str, Any], desk: Desk) -> None:
        self.story, self.desk = Story(operation), desk
        self.poster = Poster(operation.id, note, desk)
        self.due = 0.0  # when there is something to do, by the desk's clock
        self.task: asyncio.Task[None] | None = None
        self._told_to_wait = False
        self._lost = 0
        self._sent: Message = {}
        self._turn, self._edited = -1, 0.0

    @property
    def note(self) -> dict[str, Any]:
        return self.poster.note

    @property
    def finished(self) -> bool:
        return bool(self.note.get("finished"))

    @property
    def moving(self) -> bool:
        return self.story.public and not self.story.over

    def take(self, operation: Operation, entries: Iterable[Entry]) -> None:
        """Read on in the log."""
        before = (self.story.last, self.story.operation)
        for entry in entries:
            self.story.add(entry)
        self.story.refresh(operation)
        if before != (self.story.last, operation) and not self._told_to_wait:
            self.due = min(self.due, self.desk.clock())

    async def step(self) -> None:
        """Do what can be done now, and say when to come again."""
        self._told_to_wait = False
        self.due = NEVER  # until there is something new
        number = self.story.operation.number
        try:
            await self._bring()
            self._lost = 0
        except Away as away:
            log.info("Slack has #%s wait: %s", number, away)
            self._come_again(max(away.seconds, 0.2))
        except Lost as lost:
            log.warning("#%s: Slack's answer was lost: %s", number, lost)
            self._lost += 1
            self._come_again(min(0.25 * 2**self._lost, 15.0))
        except OperationalError as error:
            log.warning("#%s: the database is away: %s", number, error.orig)
            self._come_again(1.0)
        except Exception:
            log.exception("bug while telling #%s in Slack", number)
            self._come_again(15.0)
        finally:
            self.desk.changed.set()

    async def _bring(self) -> None:
        story = self.story
        home = await self._home()
        if home is None:
            return
        if not home:
            if story.over:
                await self._tell_privately()
                await self._finish()
            return
        problem: Exception | None = None
        try:
            await self._tell_thread(home)
        except (Away, Lost) as error:
            problem = error  # the card may be edited even so
        if not story.operation.parent:
            await self._edit(home)
        if problem:
            raise problem
        if story.over and self.due == NEVER:
            await self._finish()

    def _come_again(self, seconds: float) -> None:
        self._told_to_wait = True  # news do not make it come sooner
        self.due = self.desk.clock() + seconds

    async def _finish(self) -> None:
        await self.poster.keep(finished=True)
        self.note["finished"] = True  # only now: where it could not be kept it is told once more

    # -- the card --------------------------------------------------------------------------------

    async def _home(self) -> Home | None:
        """Return where the card is: {} where it has none, None where that is not known yet."""
        if parent := self.story.operation.parent:
            note = await self.desk.database(self.desk.store.note, KIND, parent)
            if note.get("card") or note.get("finished"):
                return dict(note.get("card") or {})
            self._come_again(1.0)
            return None
        if self.note.get("card"):
            return dict(self.note["card"])
        if not self.story.public or self.note.get("homeless"):
            return {}
        return await self._settle_down()

    async def _settle_down(self) -> Home:
        """Post the card: into the environment's channel, or else where it was asked."""
        audience = self.story.operation.audience
        asked_in = str(audience.get("channel", ""))
        environment = self.desk.config.environments.get(self.story.operation.environment)
        refused = []
        if audience.get("direct") and not self.story.question:
            environment, asked_in = None, str(audience.get("user", ""))
        there = [environment.channel if environment else asked_in, asked_in]
        for channel in dict.fromkeys(filter(None, there)):  # App Home is no channel
            thread = str(audience.get("thread") or "") if channel == asked_in else ""
            turn = self.story.turn
            try:
                answer = await self.poster.once("card", partial(self._root, channel, thread))
            except No as error:
                refused.append(f"{channel}: {error.error}")
                log.error("Slack takes no card in %s: %s", channel, error)
                continue
            if answer:
                ts = str(answer["ts"])
                self.note["card"] = {"channel": channel, "ts": ts, "thread": thread or ts}
                if environment is None and audience.get("direct"):
                    # A conversation: what follows stands below what was typed, in no thread.
                    self.note["card"] |= {"channel": str(answer["channel"]), "thread": ""}
                self.note["again"] = answer["again"]
                self._edited, self._turn = self.desk.clock(), turn
                await self.poster.keep()
                return dict(self.note["card"])
            refused.append(f"{channel}: no answer")
            break
        self.note["homeless"] = refused
        await self.poster.keep()
        return {}

    async def _root(self, channel: str, thread: str, again: bool) -> dict[str, Any]:
        async def send(style: Style) -> dict[str, Any]:
            message = self._message(style, again)
            answer = await self.poster.post(channel, thread, message)
            self._sent = message
            return answer

        return dict(await self.poster.styled("card", send))

    def _message(self, style: Style, again: bool | None = None) -> Message:
        again = bool(self.note.get("again")) if again is None else again
        log = self.desk.log_of(self.story.operation)
        return cards.card(self.story, style, self.desk.commands, again, log)

    async def _edit(self, home: Home) -> None:
        story, now = self.story, self.desk.clock()
        if self.note.get("frozen") or self._message(self.poster.style_of("card")) == self._sent:
            return
        urgent = story.over or story.turn != self._turn
        rest = 0.0 if urgent else self._edited + EDIT_SECONDS * max(1, self.desk.running) - now
        if (wait := max(rest, self.desk.web.room(urgent))) > 0:
            self.due = min(self.due, now + wait)
            return
        turn = story.turn
        try:
            await self.poster.styled("card", partial(self._update, home))
        except No as error:
            log.error("editing the card of #%s: %s", story.operation.number, error)
            self.note["frozen"] = error.error  # deleted by somebody, or too old to be edited
            return
        self._edited, self._turn = self.desk.clock(), turn
        if self._message(self.poster.style_of("card")) != self._sent:
            self.due = min(self.due, now)  # more was told meanwhile

    async def _update(self, home: Home, style: Style) -> None:
        message = self._message(style)
        await self.desk.web.call(
            "chat.update", channel=home["channel"], ts=home["ts"], text=message["text"],
            blocks=message.get("blocks", []), link_names=False,
        )  # fmt: skip
        self._sent = message

    # -- the thread ------------------------------------------------------------------------------

    async def _tell_thread(self, home: Home) -> None:
        while lines := self._pending():
            if not self.note.get("mute"):
                if wait := self.desk.web.room_to_post(str(home["channel"])):
                    self._come_again(wait)
                    return
                what = f"post:{lines[0].number}-{lines[-1].number}"
                try:
                    await self.poster.once(what, partial(self._say, home, lines))
                except No as error:
                    log.error("the thread of #%s: %s", self.story.operation.number, error)
                    if error.error in LASTING:
                        self.note["mute"] = error.error
            self.note["told"] = lines[-1].number
            await self.poster.keep()

    async def _say(self, home: Home, lines: list[Line], again: bool) -> Any:
        loud = lines[-1].kind == "end" and self.story.grave

        async def send(style: Style) -> Any:
            message = posts.post(lines, self.story, style, again, self.desk.people)
            return await self.poster.post(home["channel"], home["thread"], message, loud)

        return await self.poster.styled("post", send)

    def _pending(self) -> list[Line]:
        """Return the lines that make the next message: of one that was begun, or all so far."""
        told = int(self.note.get("told", 0))
        lines = [line for line in self.story.lines if line.number > told]
        begun = str(self.note.get("sending", ""))
        if begun.startswith("post:"):
            last = int(begun.rpartition("-")[2])
            return [line for line in lines if line.number <= last]
        taken: list[Line] = []
        for line in lines:
            heavy = sum(map(posts.weight, [*taken, line])) > BLOCKS - 2
            if taken and (line.kind == "end" or heavy or _size([*taken, line]) > TOGETHER):
                break
            taken.append(line)
        return taken

    # -- privately -------------------------------------------------------------------------------

    async def _tell_privately(self) -> None:
        """Answer the one who asked: nothing happened that others should see."""
        operation = self.story.operation
        for place, (said, table) in enumerate(self._answers()):
            if place < int(self.note.get("told", 0)):
                continue
            try:
                await self.poster.once(
                    f"private:{place}", partial(self._whisper, operation, said, table)
                )
            except No as error:
                log.error("answering %s privately: %s", operation.person, error)
            self.note["told"] = place + 1
            self.note["uses"] = int(self.note.get("uses", 0)) + 1

    def _answers(self) -> list[tuple[list[str], bool]]:
        lines = self.story.lines
        answers: list[tuple[list[str], bool]] = [
            (list(line.event.lines), line.event.table)
            for line in lines
            if isinstance(line.event, Answered)
        ]
        said = [x.event for x in lines if x.kind in ("note", "end")]
        if answers:
            said = [event for event in said if not isinstance(event, Done)]  # it has been answered
        rest = [line for event in said for line in words.lines(event)]
        if refused := self.note.get("homeless"):
            operation = self.story.operation
            rest = [f"{operation.line} (#{operation.number})", *rest]
            rest.append(f"saying so in public: Slack refused it ({', '.join(refused)})")
            rest.append("invite Packlead to the channel")
        return [*answers, (rest, False)] if rest else answers

    async def _whisper(
        self, operation: Operation, said: list[str], table: bool, again: bool
    ) -> Any:
        age = self.desk.store.now() - operation.created
        url = age < URL_SECONDS and int(self.note.get("uses", 0)) < URL_USES

        async def send(style: Style) -> None:
            message = cards.private(said, style, table, again)
            await tell(self.desk.web, operation.audience, message, url)

        return await self.poster.styled("private", send)


def _size(lines: Iterable[Line]) -> int:
    return sum(len(words.say(line.event)) for line in lines)
