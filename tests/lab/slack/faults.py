"""Misbehaviour on command: busy, broken, slow, done but not answered, blocks refused.

    slack.fault("chat.postMessage", "after", match=is_the_end, call=bot.kill)

At `before` `call` is called, the connection breaks, and nothing was done; at `after` it was done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.lab.slack.records import Json

KINDS = (
    "429", "500", "503", "lost", "dropped", "slow", "invalid_blocks", "error", "nonsense",
    "before", "after",
)  # fmt: skip


@dataclass
class Fault:
    """One rule; it ends after `times` calls, after `seconds`, or when `clear` is called."""

    method: str
    kind: str
    times: int | None = None
    until: float | None = None
    delay: float = 1.0  # slow: how long
    retry_after: int = 1  # 429: what the answer says
    error: str = ""  # error: Slack's word for it
    types: tuple[str, ...] = ()  # invalid_blocks: which types of blocks; none means all
    text: str = "<html>ok</html>"  # nonsense: what is answered, with status 200
    chance: Callable[[], bool] = lambda: True  # which of the calls that fit meet it
    match: Callable[[Json], bool] = lambda args: True  # what is called with
    call: Callable[[], object] = lambda: None  # before and after: called in a thread
    count: int = 0
    cleared: bool = False

    def clear(self) -> None:
        self.cleared = True

    @property
    def over(self) -> bool:
        return (
            self.cleared
            or (self.times is not None and self.count >= self.times)
            or (self.until is not None and time.monotonic() >= self.until)
        )

    def fits(self, method: str, args: Json) -> bool:
        if self.over or self.method not in ("*", method) or not self.match(args):
            return False
        if self.kind != "invalid_blocks":
            return True
        blocks = args.get("blocks") or (args.get("view") or {}).get("blocks") or []
        kinds = set(types_in(blocks))
        return bool(kinds & set(self.types)) if self.types else bool(kinds)


@dataclass
class Faults:
    rules: list[Fault] = field(default_factory=list)

    def add(
        self,
        method: str,
        kind: str,
        *,
        seconds: float | None = None,
        times: int | None = None,
        delay: float | None = None,
        retry_after: int = 1,
        error: str = "",
        types: tuple[str, ...] = (),
        text: str = "<html>ok</html>",
        chance: Callable[[], bool] = lambda: True,
        match: Callable[[Json], bool] = lambda args: True,
        call: Callable[[], object] = lambda: None,
    ) -> Fault:
        if kind not in KINDS:
            raise ValueError(f"no fault {kind!r}: there are {', '.join(KINDS)}")
        if kind == "slow" and delay is None and seconds is not None:
            delay, seconds = seconds, None
        if times is None and seconds is None and kind != "invalid_blocks":
            times = 1
        until = None if seconds is None else time.monotonic() + seconds
        more = (retry_after, error, types, text, chance, match, call)
        rule = Fault(method, kind, times, until, delay or 1.0, *more)
        self.rules.append(rule)
        return rule

    def take(self, method: str, args: Json) -> Fault | None:
        """The first rule that fits this call; it is used up by one."""
        self.rules = [rule for rule in self.rules if not rule.over]
        for rule in self.rules:
            if rule.fits(method, args) and rule.chance():
                rule.count += 1
                return rule
        return None

    def clear(self) -> None:
        for rule in self.rules:
            rule.clear()
        self.rules = []


def types_in(node: object) -> Iterator[str]:
    """The types of everything inside blocks."""
    if isinstance(node, list):
        for item in node:
            yield from types_in(item)
    elif isinstance(node, dict):
        if isinstance(node.get("type"), str):
            yield node["type"]
        for value in node.values():
            if isinstance(value, (list, dict)):
                yield from types_in(value)
