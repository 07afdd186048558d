"""Runs a program that outlives the bot: one directory per run, which a restarted bot attaches to.

The directory tells everything. `lock` is held by a supervisor while the run lives (a lock, and no
process id, tells alive from dead), `begun` says that the program was started, `events.jsonl` is
what it printed, one JSON object a line, `code` how it ended (by an atomic rename, after everything
that it started is gone), `cancel` asks it to end, `alive` is touched by whoever waits for it (with
the time since the machine was started, which goes on while that sleeps).

    nothing -> lock held -> begun -> code          begun, no code, lock free: it is lost
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bot import supervisor
from bot.errors import Cancelled, Failed

POLL = 0.05  # seconds between two looks at a run's files
ASK = 0.25  # seconds between two questions whether it was cancelled
Line = dict[str, Any]

_children: dict[Path, subprocess.Popen[bytes]] = {}  # only so that none stays a zombie


class Lost(Failed):
    """The run died without saying how it ended: a reboot, or somebody killed its supervisor."""


class Expired(Lost):
    """The run was ended, since nobody had touched it for a lease."""


def start(
    directory: Path,
    argv: Sequence[str],
    env: Mapping[str, str],
    lease: float = 0,
    before: Callable[[], object] = lambda: None,
) -> bool:
    """Start a program; False where it runs or has ended already, so that one only needs to wait.

    `env` is its whole environment. With a `lease` it is ended when nobody has waited for it for
    that many seconds. `before` makes what it needs, while nobody else can start it. Raises Lost
    where it was begun earlier and has vanished. Where the disk is full it begins when there is
    room.
    """
    return supervisor.patient(lambda: _start(directory, argv, env, lease, before))


def _start(
    directory: Path,
    argv: Sequence[str],
    env: Mapping[str, str],
    lease: float,
    before: Callable[[], object],
) -> bool:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(directory) as lock:
        if lock is None or (directory / "code").exists():
            return False
        if (directory / "begun").exists():
            raise _lost(directory)
        before()
        supervisor.touch(directory / "alive")
        with supervisor.opened(directory / "stderr") as told:
            # The supervisor inherits the lock itself: there is no moment in which nobody holds it.
            _children[directory] = subprocess.Popen(
                [sys.executable, "-P", supervisor.__file__, str(lock), str(directory), str(lease),
                 *argv],
                env=env, pass_fds=[lock], start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told,
            )  # fmt: skip
    return True


def wait(
    directory: Path,
    on_line: Callable[[int, Line], None],
    cancelled: Callable[[], str] = lambda: "",
) -> int:
    """Hand on every line, from the first and with its number, and return the exit code at the end.

    Raises Lost, and Cancelled once `cancelled` has said who said stop and all of it has ended.
    """
    lines, asked, by = _Lines(directory / "events.jsonl"), 0.0, ""
    while True:
        end = _ended(directory)
        if end is None and not _held(directory):
            end = _ended(directory)  # it may have ended between the two looks
            if end is None:
                lines.hand_on(on_line)
                raise _lost(directory)
        lines.hand_on(on_line)
        if end is not None:
            return _judged(directory, end)
        if time.monotonic() - asked >= ASK:
            said, asked = cancelled(), time.monotonic()
            supervisor.touch(directory / "alive")  # after it was asked whether we may go on at all
            if said and not by:
                by = said
                supervisor.put(directory / "cancel", by)
        time.sleep(POLL)


def state(directory: Path) -> str:
    """Return new, running, ended, expired (it was ended, since nobody touched it) or lost."""
    end = _ended(directory)
    if end is None and _held(directory):
        return "running"
    if end := end or _ended(directory):
        return "expired" if end["why"] == "lease" else "ended"
    return "lost" if (directory / "begun").exists() else "new"


def attend(directory: Path) -> None:
    """Say of what runs there that somebody looks after it."""
    if state(directory) == "running":
        supervisor.touch(directory / "alive")


def watched(directory: Path, lease: float) -> dict[str, str]:
    """Return the variables by which what runs can ask `attended`."""
    return {"PACKLEAD_ALIVE": str(directory / "alive"), "PACKLEAD_LEASE": str(lease)}


def attended(environ: Mapping[str, str]) -> bool:
    """Say whether somebody still looks after the run that we are part of; if not, it is over.

    Of a machine that has slept the run goes on for a moment: not with what nobody else refuses.
    """
    lease = float(environ.get("PACKLEAD_LEASE") or 0)
    return not lease or supervisor.untouched(Path(environ["PACKLEAD_ALIVE"])) <= lease


def forget(folder: Path, before: float) -> None:
    """Remove the directories of what ended before a moment, in Unix seconds."""
    for ended in folder.glob("*/code"):
        if ended.stat().st_mtime < before:
            shutil.rmtree(ended.parent, ignore_errors=True)


def errors(directory: Path, lines: int = 20) -> str:
    """Return the tail of what the program wrote to its standard error."""
    try:
        text = (directory / "stderr").read_bytes()[-8000:].decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])


class _Lines:
    """The whole lines of a growing file, each handed on once. What is no JSON object is a text."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._number, self._rest = path, 0, 0, b""

    def hand_on(self, to: Callable[[int, Line], None]) -> None:
        if not self._path.exists() or self._path.stat().st_size <= self._at:
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            read = file.read()
        self._at += len(read)
        *whole, self._rest = (self._rest + read).split(b"\n")
        for line in whole:
            self._number += 1
            to(self._number, _parsed(line))


def _parsed(line: bytes) -> Line:
    text = line.decode(errors="replace")
    try:
        data = json.loads(text)
    except ValueError:
        return {"text": text}
    return data if isinstance(data, dict) else {"text": text}


def _ended(directory: Path) -> Line | None:
    try:
        return _parsed((directory / "code").read_bytes())
    except FileNotFoundError:
        return None


def _judged(directory: Path, end: Line) -> int:
    if child := _children.pop(directory, None):
        child.wait()  # it is the supervisor, and has said its last word
    if end["why"] == "cancelled":
        raise Cancelled((directory / "cancel").read_text())
    if end["why"] == "lease":
        raise Expired("the run was ended, since nobody looked after it any more")
    return int(end["code"])


def _lost(directory: Path) -> Lost:
    said = errors(directory, 3)
    return Lost(
        "the run vanished without an end" + (f": {said}" if said else ""),
        "a restart of the machine does that, or of a container, or a service manager that ends "
        "all of a service's processes (systemd: KillMode=process)",
    )


@contextmanager
def _locked(directory: Path) -> Iterator[int | None]:
    """Hold the lock of a run as a file descriptor, or None where somebody else holds it."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield lock if _taken(lock) else None
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    for _ in range(3):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)  # somebody who only looks, as below, is gone by then
        else:
            return True
    return False


def _held(directory: Path) -> bool:
    if not (directory / "lock").exists():
        return False
    lock = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Shared, so that two who look at the same moment do not take each other for the run.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
