"""Holds a shell on a host for somebody who types line by line: one line, one answer."""

from __future__ import annotations

import json
import queue
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import IO, Any, cast

from bot.adapters.records import Talked
from bot.adapters.remote.ran import clean
from bot.errors import Cancelled
from bot.events import Printed, Shown
from bot.outside import Line
from bot.words import duration

LOOK = 0.2  # seconds between two looks at what was typed
BEAT = 5.0
STUCK = 5.0  # seconds after Ctrl-C
TAIL = 4000  # characters of an answer that are shown
EXIT = ("exit", "exit()", "quit", "quit()")
INTERRUPT = ("^c", "ctrl-c", "ctrl c")


def hold(
    words: Sequence[str], env: Mapping[str, str], host: str, seconds: float, patience: float,
    line: Line,
) -> Talked:  # fmt: skip
    """Hold a shell until it ends; a line may run for `patience` seconds. Raises Cancelled."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            words, env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            start_new_session=True, bufsize=0,
        )  # fmt: skip
        try:
            ended = _Talk(process, host, patience, line).go(time.monotonic() + seconds)
        finally:
            _part(process)
        if ended.how in ("unreachable", "dropped"):
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            return Talked(ended.how, clean(said[-1]) if said else "")
        return ended


class _Talk:
    def __init__(
        self, process: subprocess.Popen[bytes], host: str, patience: float, line: Line
    ) -> None:
        self.process, self.host, self.patience, self.line = process, host, patience, line
        self.told: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.waiting: deque[str] = deque()
        self.open, self.end, self.busy, self.asked, self.beat = False, "", 0.0, 0.0, 0.0
        self.tail, self.lines, self.note = "", 0, ""
        self.stdin = cast(IO[bytes], process.stdin)
        threading.Thread(target=_read, args=(process.stdout, self.told), daemon=True).start()

    def go(self, until: float) -> Talked:
        looked = 0.0
        while True:
            ended = self._next()
            if ended:
                return ended
            now = time.monotonic()
            if now - looked >= LOOK:
                looked = now
                if by := self.line.cancelled():
                    raise Cancelled(by)
                self._listen(now)
            if now > until:
                return Talked("expired")
            quiet = self.told.empty()  # or else its end may be among what has not been read yet
            if quiet and self.busy and not self.asked and now - self.busy > self.patience:
                self._interrupt(f"it was stopped: it ran for {duration(self.patience)}")
            if quiet and self.asked and now - self.asked > STUCK:
                return Talked("stuck")
            if self.open and not self.busy and self.waiting:
                self._say(self.waiting.popleft(), now)
            if self.end and not self.busy and not self.waiting:
                self.line.took(self.end)
                return Talked("exit")

    def _next(self) -> Talked | None:
        """Take what the host tells, where it does within a moment."""
        try:
            told = self.told.get(timeout=0.05)
        except queue.Empty:
            return None
        if told is None:
            return Talked("dropped" if self.open else "unreachable")
        if text := clean(str(told.get("text", ""))):
            self._printed(text)
        if "heard" in told:
            self.line.took(clean(str(told["heard"])))
        if told.get("done") == "ready":
            self.open, self.tail, self.lines = True, "", 0
            self.line.opened()
        elif "done" in told:
            self._answered(told)
        if "code" in told:
            if told.get("error") or not self.open:
                return Talked("broken", clean(str(told.get("error") or self.tail.strip()[-300:])))
            return Talked("exit" if told["code"] == 0 else "ended", str(told["code"]))
        return None

    def _listen(self, now: float) -> None:
        for text in self.line.heard():
            if text.lower() in INTERRUPT:
                self.line.took(text)  # the host does not hear it
                self.waiting.clear()
                if self.busy:
                    self._interrupt("it was stopped by Ctrl-C")
            elif text.lower() in EXIT:
                self.end = text
            elif not self.end:
                self.waiting.append(text)
        if now - self.beat > BEAT:
            self.beat = now
            self._send({})

    def _say(self, text: str, now: float) -> None:
        self.busy, self.asked = now, 0.0
        self.tail, self.lines, self.note = "", 0, ""
        self._send({"say": text})

    def _interrupt(self, note: str) -> None:
        self.note, self.asked = note, time.monotonic()
        self._send({"interrupt": True})

    def _printed(self, text: str) -> None:
        self.tail = (self.tail + text)[-TAIL:]
        self.lines += text.count("\n")
        self.line.tell(Printed(self.host, text))

    def _answered(self, told: dict[str, Any]) -> None:
        lost = int(told.get("lost", 0))
        if lost:
            self.tail = clean(str(told["tail"]))[-TAIL:]
        self.line.tell(Shown(self.tail, self.lines, lost, self.note))
        self.busy = self.asked = 0.0

    def _send(self, told: dict[str, Any]) -> None:
        try:
            self.stdin.write(json.dumps(told).encode() + b"\n")
        except OSError:
            pass  # the connection is gone: the reader says so


def _read(out: IO[bytes], told: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    for line in out:
        try:
            told.put(json.loads(line))
        except ValueError:
            told.put({"text": line.decode(errors="replace")})
    told.put(None)


def _part(process: subprocess.Popen[bytes]) -> None:
    """Close the connection: the other side ends what it has started when it hears nothing more."""
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
