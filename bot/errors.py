"""Why something was not done, told apart by what to do next and whether the world has changed.

    BotError
      Misunderstood   say it differently    nothing was changed
      Refused         ask someone           nothing was changed
        Busy          wait, or take over    nothing was changed
      Failed          go and look           something may have changed
      Misconfigured   fix the config file   the bot did not start
    Cancelled         somebody said stop    the command puts back what it had begun

Texts are lower case and in the present tense; what was being done stands before the colon
("draining prodweb2: still 3 connections after 300 s"), the hint is the next thing to type.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BotError(Exception):
    """Something a person should read. Anything else that is raised is a bug."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.text, self.hint = text, hint

    def __str__(self) -> str:
        return f"{self.text}\n{self.hint}" if self.hint else self.text


class Misunderstood(BotError):
    """Say it differently; nothing was changed."""


class Refused(BotError):
    """Ask someone; nothing was changed."""


class Busy(Refused):
    """Wait, or take over; nothing was changed."""


class Failed(BotError):
    """Go and look; something may have changed."""


class Misconfigured(BotError):
    """Fix the config file; the bot did not start."""


class Cancelled(Exception):
    """Somebody asked a running operation to stop. Raised inside the command, once."""

    def __init__(self, by: str) -> None:
        super().__init__(f"cancelled by {by}")
        self.by = by


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is meant, most likely; nothing where none is near."""
    names = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return names[near[0]] if near else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean "prod"?`, or nothing when no known word is near."""
    near = nearest(word, known)
    return f'did you mean "{near}"?' if near else ""
