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
    email: str = ""

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
class Ready:
    """What a host runs, and the commits that could come back on it at once; or why neither could
    be read."""

    host: str
    live: Live
    commits: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True)
class Failure:
    """A task that failed on a host, with the tail of what it printed."""

    host: str
    task: str
    text: str


@dataclass(frozen=True)
class Ran:
    """How a command on a host ended: `how` is ended, expired, dropped, unreachable or lost."""

    how: str
    code: int = 0
    tail: str = ""
    lines: int = 0
    lost: int = 0  # characters that it printed and nobody kept
    detail: str = ""


@dataclass(frozen=True)
class Talked:
    """How a shell on a host ended: exit, expired, dropped, unreachable, broken, stuck, ended,
    left, silent or lost."""

    how: str
    detail: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a playbook ended."""

    ok: bool
    failures: tuple[Failure, ...] = ()
    hosts: tuple[str, ...] = ()  # those that went through all of it
    seconds: float = 0.0
    play: str = ""  # the play it stood in when it failed


@dataclass(frozen=True)
class Check:
    """What CI says of a commit under one name: state is ok, pending or failed."""

    name: str
    state: str
    url: str = ""


@dataclass(frozen=True)
class Pull:
    """A pull request."""

    number: int
    title: str = ""
    url: str = ""


@dataclass(frozen=True)
class Coming:
    """What GitHub knows of commits: their authors, as logins and ids, and their pull requests."""

    authors: tuple[tuple[str, str], ...] = ()
    pulls: tuple[Pull, ...] = ()


@dataclass(frozen=True)
class Deployment:
    """What GitHub calls one operation's coming to one environment."""

    id: int
    operation: str
    environment: str
    commit: str
