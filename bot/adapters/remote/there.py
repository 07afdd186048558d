"""What runs on a host for the bot, as the application's user: a program, or a shell fed by lines.

Its text travels with the ssh command, so that a host needs nothing of ours but its Python. It knows
the application's environment, and takes the values in it out of all that is printed before that
leaves the host. When the connection is gone, or silent, it ends all that it has started.

    in   {"say": "1 + 1"}  {"interrupt": true}  {}: the other side lives
    out  {"begun": true}  {"text": "2\\n"}  {"done": …}  {"code": 0, …}
         {"heard": …}: the line that was said, since there was a secret in it
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SILENCE = 30.0  # seconds without a word from the bot until it is taken for dead
GRACE = 2.0  # seconds that a program may take to end
KEPT = 4000000  # characters of one answer that leave the host; of the rest only the end
TAIL = 8000
GATHER = 0.2  # seconds in which what is printed becomes one chunk
CHUNK = 32000
ASSIGNED = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=")
SINGLE = re.compile(r"'([^']*)'[ \t]*(?:\n|\Z)")
DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*(?:\n|\Z)', re.DOTALL)
SHORTEST = 6  # a shorter value would mask ordinary words
NOWHERE = -1
PR_SET_CHILD_SUBREAPER = 36  # what our children leave behind stays below us


def main(told: str) -> int:
    about = json.loads(told)
    root = Path(about["root"])
    os.chdir((root / "current").resolve())  # a deploy meanwhile changes nothing for us
    values = read_environment(root / "shared" / "env")
    env = dict(os.environ, **values)
    env.setdefault("LANG", "C.UTF-8")
    argv = ["virtualenv/bin/python", *about["argv"]]
    if about["mode"] == "terminal":
        os.execve(argv[0], argv, env)  # noqa: S606 - the connection is its terminal
    env.update(PYTHONUNBUFFERED="1", TERM="dumb")
    return Watch(Mask(values)).run(argv, env, about.get("loop", ""))


def read_environment(path: Path) -> dict[str, str]:
    """Return what shared/env holds, as playbooks/library/release.py reads it to the very byte.

    KEY=value to the end of the line; KEY="…" over several lines, with \\ before ", \\, $ and `;
    KEY='…' as it stands. Lines of any other kind mean nothing.
    """
    text = path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""
    values, at = {}, 0
    while at < len(text):
        found, end = ASSIGNED.match(text, at), text.find("\n", at) + 1 or len(text)
        if found:
            values[found[1]], end = read_value(text, found.end())
        at = end
    return values


def read_value(text: str, at: int) -> tuple[str, int]:
    """Return the value that begins somewhere, and where the line after it begins."""
    line = text.find("\n", at) + 1 or len(text)
    for pattern in (SINGLE, DOUBLE):
        quoted = pattern.match(text, at)
        if quoted:
            value = quoted[1]
            if pattern is DOUBLE:
                value = re.sub(r'\\(["\\$`])|\\\n', r"\1", value)
            return value, quoted.end()
    return text[at:line].strip(), line


class Mask:
    """Takes secrets out of a text that comes in pieces; holds back what may be the start of one."""

    def __init__(self, values: dict[str, str]) -> None:
        forms = {}
        for name, value in values.items():
            whole = (value, repr(value)[1:-1], json.dumps(value)[1:-1])
            for form in (*whole, *value.splitlines()):
                if len(form) >= SHORTEST and not name.endswith("_MODULE"):
                    forms[form] = f"[{name}]"
        self.forms = sorted(forms.items(), key=lambda pair: -len(pair[0]))
        self.longest = max([len(form) for form in forms] or [0])
        self.held = ""

    def feed(self, text: str, end: bool = False) -> str:
        text = self.hide(self.held + text)
        keep = len(text) if end else self._safe(text)
        self.held = text[keep:]
        return text[:keep]

    def hide(self, text: str) -> str:
        for form, name in self.forms:
            text = text.replace(form, name)
        return text

    def _safe(self, text: str) -> int:
        for at in range(max(0, len(text) - self.longest + 1), len(text)):
            if any(form.startswith(text[at:]) for form, _ in self.forms):
                return at
        return len(text)


class Printed:
    """What a program prints, on its way out: in chunks, up to a limit, and then only its end."""

    def __init__(self, mask: Mask) -> None:
        self.mask, self.decoder = mask, codecs.getincrementaldecoder("utf-8")("replace")
        self.text, self.since, self.tail = "", 0.0, ""
        self.sent = self.lost = 0

    def feed(self, data: bytes) -> None:
        self._add(self.mask.feed(self.decoder.decode(data)))

    def look(self) -> None:
        """Send what has waited long enough for more."""
        if self.text and time.monotonic() - self.since > GATHER:
            self._send(self.text)
            self.text = ""

    def end(self) -> dict[str, Any]:
        """Send what is left, and return what was not sent."""
        self._add(self.mask.feed(self.decoder.decode(b"", True), True))
        self._send(self.text)
        return {"lost": self.lost, "tail": self.tail} if self.lost else {}

    def _add(self, text: str) -> None:
        if text and not self.text:
            self.since = time.monotonic()
        self.text += text
        while len(self.text) >= CHUNK:
            self._send(self.text[:CHUNK])
            self.text = self.text[CHUNK:]

    def _send(self, text: str) -> None:
        if text and self.sent + len(text) <= KEPT:
            self.sent += len(text)
            say(text=text)
        elif text:
            self.lost += len(text)
            self.tail = (self.tail + text)[-TAIL:]


class Watch:
    """Runs one program and stands between it and the connection."""

    def __init__(self, mask: Mask) -> None:
        self.mask, self.printed = mask, Printed(mask)
        self.heard, self.last = b"", time.monotonic()
        self.out = self.told = self.to = NOWHERE

    def run(self, argv: list[str], env: dict[str, str], loop: str) -> int:
        for number in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, _ended)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.out, into = os.pipe()
        given = []
        if loop:
            heard, self.to = os.pipe()
            self.told, told = os.pipe()
            given = [heard, told]
            argv = [*argv, loop % (heard, told)]
        try:
            self.child = subprocess.Popen(
                argv, env=env, pass_fds=given, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=into, stderr=into,
            )  # fmt: skip
        except OSError as error:
            say(code=127, error=str(error))
            return 127
        for place in (into, *given):
            os.close(place)
        say(begun=True)
        try:
            self._watch()
        finally:
            end_all()
        return 0

    def _watch(self) -> None:
        while True:
            places = [place for place in (0, self.out, self.told) if place != NOWHERE]
            ready = select.select(places, [], [], 0.05)[0]
            if 0 in ready:
                self._hear(os.read(0, 65536))
            if self.out in ready:
                self._read()
            if self.told in ready:
                self._answered()
            self.printed.look()
            if time.monotonic() - self.last > SILENCE:
                raise SystemExit(75)
            code = self.child.poll()
            if code is not None:
                break
        end_all()  # what it has left behind; it may still hold the pipe
        self._drain()
        say(code=code, **self.printed.end())

    def _read(self) -> None:
        data = os.read(self.out, 65536)
        self.printed.feed(data)
        if not data:
            self.out = NOWHERE

    def _drain(self) -> None:
        while self.out != NOWHERE and select.select([self.out], [], [], 0)[0]:
            self._read()

    def _answered(self) -> None:
        words = os.read(self.told, 4096).decode().split()
        if not words:
            self.told = NOWHERE
        for word in words:
            self._drain()
            say(done=word, **self.printed.end())
            self.printed = Printed(self.mask)

    def _hear(self, data: bytes) -> None:
        self.last = time.monotonic()
        if not data:
            raise SystemExit(0)  # the connection is gone
        *lines, self.heard = (self.heard + data).split(b"\n")
        for line in lines:
            asked = json.loads(line.decode())
            if "say" in asked and self.to != NOWHERE:
                say(heard=self.mask.hide(asked["say"]))  # what may be written down of it
                os.write(self.to, json.dumps(asked["say"]).encode() + b"\n")
            if "interrupt" in asked:
                os.killpg(self.child.pid, signal.SIGINT)


def _ended(*_: Any) -> None:
    raise SystemExit(143)


def say(**told: Any) -> None:
    """Send one line."""
    data = json.dumps(told).encode() + b"\n"
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError:
        raise SystemExit(0) from None  # the connection is gone


def end_all() -> None:
    """End all that was started here: by SIGTERM, then by SIGKILL, until nothing is left."""
    begun, asked = time.monotonic(), set()
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return
        late = time.monotonic() - begun > GRACE
        for pid in below(os.getpid()):
            if late or pid not in asked:
                asked.add(pid)
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(0.02)


def below(of: int) -> list[int]:
    """Return all that descends from a process."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        try:
            fields = (path / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.name))
    found, todo = [], [of]
    while todo:
        new = children.get(todo.pop(), [])
        found += new
        todo += new
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
