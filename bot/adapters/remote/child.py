"""The process that holds a connection to a host: what comes from there goes out, line by line.

    python child.py SECONDS ssh … HOST PROGRAM…

Started detached, by its path. It speaks to the other side so that it knows that we live, and stops
when it is told to, or after SECONDS: the other side then ends what it has started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

BEAT = 5.0
PARTING = 2.5  # seconds that the other side may take to end everything


def main(seconds: float, words: list[str]) -> int:
    """Hold the connection to its end; return the exit status of ssh."""
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    given, to = os.pipe()
    child = subprocess.Popen(words, stdin=given, preexec_fn=_deaf)
    os.close(given)
    end, beat = time.monotonic() + seconds, 0.0
    while child.poll() is None and not stop and time.monotonic() < end:
        if time.monotonic() >= beat:
            beat = time.monotonic() + BEAT
            with contextlib.suppress(OSError):
                os.write(to, b"{}\n")
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.1)
    expired = child.poll() is None and not stop
    os.close(to)
    try:
        child.wait(PARTING)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if expired:
        os.write(1, b'{"expired": true}\n')
    return child.returncode


def _deaf() -> None:
    """Have ssh live until the other side has ended everything: SIGTERM is for us alone."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
