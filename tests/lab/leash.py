"""Run programs that end when whoever started them does.

    leash.py [--hostname NAME] PROGRAM … [-- PROGRAM …]

Standard input is the leash: a pipe whose other end the lab holds. When it closes, because the lab
ended or was killed, everything below this process is killed, daemons that left their parents
included. In a PID namespace of its own it is the first process, and the kernel does the same.
It also reaps what others leave.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys

PR_SET_CHILD_SUBREAPER = 36
ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(words: list[str]) -> int:
    if words[:1] == ["--hostname"]:
        socket.sethostname(words[1])
        words = words[2:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, *ENDINGS):
        signal.signal(number, lambda *_: None)
    try:
        programs = {_start(line) for line in _lines(words)}
        return _hold(woken, programs)
    finally:
        _end_all()


def _lines(words: list[str]) -> list[list[str]]:
    lines: list[list[str]] = [[]]
    for word in words:
        if word == "--":
            lines.append([])
        else:
            lines[-1].append(word)
    return lines


def _start(line: list[str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, *ENDINGS):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.execvp(line[0], line)
    except OSError as error:
        os.write(2, f"starting {line[0]}: {error}\n".encode())
    os._exit(127)


def _hold(woken: int, programs: set[int]) -> int:
    """Wait for the end of the leash, of a signal, or of one of the programs."""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if 0 in ready and not os.read(0, 4096):
            return 0
        if woken in ready and set(os.read(woken, 4096)) & set(ENDINGS):
            return 0
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] in programs:
                    return os.waitstatus_to_exitcode(ended[1]) or 1


def _end_all() -> None:
    """Kill children until there are none: those of a killed one become ours."""
    while True:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
            if int(file.read().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(name))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
