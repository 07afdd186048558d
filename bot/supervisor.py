"""The process that stands between a detached run and the bot: it lives as long as the run.

It is started by `bot.detached`, by its path and with nothing but the standard library, so that it
is small and there at once. It holds the run's lock, which it inherits already held; it ends the run
when the directory says `cancel`, or when nobody has touched `alive` for one lease; and it says how
the run ended only after everything that the run has started is gone.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

T = TypeVar("T")

POLL = 0.05  # seconds between two looks at the directory
ROOM = 0.5  # seconds between two looks whether a full disk has room again
GRACE = 3.0  # seconds that what runs may take to end after SIGTERM
NICE = 5  # Slack waits three seconds for its answer: where they share a machine, the bot goes first
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def supervise(directory: Path, argv: Sequence[str], lease: float) -> None:
    """Run a program to its end, and end whatever it has started before saying so."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    libc = ctypes.CDLL(None)
    # Ansible's workers leave session and process group, but stay our descendants by this.
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    put(directory / "begun", str(os.getpid()))
    with patient(lambda: opened(directory / "events.jsonl")) as out:
        try:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, start_new_session=True,
                preexec_fn=lambda: _as_usual(libc),
            )  # fmt: skip
        except OSError as error:
            sys.stderr.write(f"starting {argv[0]}: {error}\n")
            put(directory / "code", json.dumps({"code": 127, "why": "ended"}))
            return
    code, why = _watched(directory, child.pid, lease)
    child.returncode = code
    _end_all(GRACE if why != "ended" else 0.3)  # what a run leaves behind are idle ssh connections
    put(directory / "code", json.dumps({"code": code, "why": why}))


def _as_usual(libc: ctypes.CDLL) -> None:
    """Undo in the program what the supervisor has set for itself; end it if that one is killed."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.nice(NICE)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])


def _watched(directory: Path, child: int, lease: float) -> tuple[int, str]:
    """Return the exit code and why it ended: ended, cancelled or lease."""
    while True:
        signal.sigtimedwait([signal.SIGCHLD], POLL)
        code = _reap(child)
        if code is not None:
            return code, "ended"
        if (directory / "cancel").exists():
            return 143, "cancelled"
        if lease and untouched(directory / "alive") > lease:
            return 75, "lease"


def touch(path: Path) -> None:
    """Note that somebody looks after a run, by a clock that nobody sets."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    with opened(path):
        os.utime(path, (now, now))


def untouched(path: Path) -> float:
    """Return for how many seconds nobody has, those included in which the machine slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - path.stat().st_mtime


def _reap(child: int) -> int | None:
    """Collect everything that has ended; return the program's exit code if it is among it."""
    code = None
    try:
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
    except ChildProcessError:
        pass
    return code


def _end_all(grace: float) -> None:
    """End all our descendants: by SIGTERM, after `grace` seconds by SIGKILL, until none is left."""
    begun, told = time.monotonic(), set[int]()
    while living := _descendants(os.getpid()):
        late = time.monotonic() - begun > grace
        for pid in living:
            if late or pid not in told:
                told.add(pid)
                try:
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                except ProcessLookupError:
                    pass
        signal.sigtimedwait([signal.SIGCHLD], 0.02)
        _reap(0)


def _descendants(of: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            fields = Path(entry.path, "stat").read_text(errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [of]
    while todo:
        todo += (below := children.get(todo.pop(), []))
        found += below
    return found


def put(path: Path, text: str) -> None:
    """Write a file as a whole; where the disk is full, as soon as it is not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")

    def write() -> None:
        temporary.unlink(missing_ok=True)
        with opened(temporary) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)

    patient(write)


def patient(work: Callable[[], T]) -> T:
    """Do something as soon as there is room for it: how a run ended must not be lost."""
    while True:
        try:
            return work()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        time.sleep(ROOM)


def opened(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[1]), False)  # the lock is ours until we end, and nobody else's
    supervise(Path(sys.argv[2]), sys.argv[4:], float(sys.argv[3]))
