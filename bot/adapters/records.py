"""What git, hosts and playbooks hand to the rest of the house."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Commit:
    """One commit: `id` is its 40-hex name, `ref` what somebody called it."""

    id: str
    ref: str = ""
    subject: str = ""
    author: str = ""

    @property
    def short(self) -> str:
        return self.id[:7]


@dataclass(frozen=True)
class Live:
    """What one host runs: a 40-hex commit, or why that could not be read."""

    host: str
    commit: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Failure:
    """A task that failed on a host, with the tail of what it printed."""

    host: str
    task: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """How a playbook ended."""

    ok: bool
    failures: tuple[Failure, ...] = ()
    hosts: tuple[str, ...] = ()  # those that went through all of it
    seconds: float = 0.0
    play: str = ""  # the play it stood in when it failed
