"""Visitors: they ask a balancer without a pause, in a process of their own, and count what fails.

    python -m tests.lab.load URL [--rate 150] [--seconds 600] [--requests 100000]

    with Load(url) as load:         # and afterwards load.asked, load.right, load.failures

A failure is every answer that is not a 200, and every one that is cut short, reset, refused or
late. Connections stay open, as browsers' do, and nothing is tried twice. It ends by itself, by
SIGTERM, and when whoever started it is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
SLOW, BIG, QUICK = "/slow?seconds=2", "/big", "/"
VISITORS = {QUICK: 10, BIG: 2, SLOW: 6}
PACE = {BIG: 0.4, SLOW: 0.0}  # seconds from one request of a visitor to the next, at least
LATE = 20.0  # seconds after which an answer counts as none
TOLD = 50  # failures that are told in words


class Load:
    """Visitors from the start of a `with` to its end; what they have seen can be read meanwhile."""

    def __init__(self, url: str, rate: float = 150, seconds: float = 1800) -> None:
        self._words = [url, "--rate", str(rate), "--seconds", str(seconds), "--json"]
        self.seen: dict[str, Any] = {"right": 0, "wrong": 0, "paths": {}, "failures": []}

    def __enter__(self) -> Self:
        words = [sys.executable, "-m", "tests.lab.load", *self._words]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()  # what they have asked already is still answered
        self._reader.join(LATE + 10)
        self._process.kill()
        self._process.wait()

    @property
    def right(self) -> int:
        return int(self.seen["right"])

    @property
    def wrong(self) -> int:
        """How many requests failed; a generator that broke down is one failure too."""
        return int(self.seen["wrong"]) + (self._process.poll() not in (None, 0, -signal.SIGKILL))

    @property
    def asked(self) -> int:
        return self.right + self.wrong

    def wrong_by(self, commit: str) -> int:
        """How many requests this commit itself answered wrongly."""
        return int(self.seen.get("by", {}).get(commit, 0))

    @property
    def slow(self) -> int:
        """How many of the right answers were to requests of two seconds."""
        return int(self.seen["paths"].get(SLOW, 0))

    @property
    def failures(self) -> list[str]:
        return list(self.seen["failures"])

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.seen = json.loads(line)


@dataclass
class Seen:
    """What the visitors have seen so far."""

    paths: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    failures: list[str] = field(default_factory=list)
    by: Counter[str] = field(default_factory=Counter)  # failures by the commit that answered them
    slowest: float = 0.0  # seconds that a quick request took at most

    @property
    def right(self) -> int:
        return self.paths.total()

    def failed(self, path: str, why: str, began: float, commit: str) -> None:
        self.wrong += 1
        self.by[commit] += 1
        if len(self.failures) < TOLD:
            at, took = time.strftime("%H:%M:%S"), time.monotonic() - began
            self.failures.append(f"{at} GET {path}: {why} after {took:.2f} s")

    def told(self) -> dict[str, Any]:
        return {**vars(self), "right": self.right}


class Visitor:
    """One connection that is used again and again."""

    def __init__(self, url: str, path: str, seen: Seen) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._path, self._seen, self._commit = path, seen, ""
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        ask = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: visitor\r\n\r\n"
        self._ask = ask.encode()

    async def visit(self, pause: float, over: asyncio.Event) -> None:
        while not over.is_set():
            began = time.monotonic()
            why = await self._once()
            if why:
                self._seen.failed(self._path, why, began, self._commit)
                self.close()
            else:
                self._seen.paths[self._path] += 1
            took = time.monotonic() - began
            if self._path == QUICK:
                self._seen.slowest = max(self._seen.slowest, took)
            await asyncio.sleep(max(0.0, pause - took, 0.2 if why else 0.0))
        self.close()

    def close(self) -> None:
        if self._open:
            self._open[1].close()
        self._open = None

    async def _once(self) -> str:
        """Ask and take the answer; return what was wrong with it."""
        self._commit = ""
        try:
            return await asyncio.wait_for(self._answered(), LATE)
        except TimeoutError:
            return f"no answer in {LATE:.0f} s"
        except asyncio.IncompleteReadError as error:
            return f"cut short, {len(error.partial)} of {error.expected or 'some'} bytes came"
        except ConnectionRefusedError:
            return "the connection was refused"
        except OSError as error:
            return f"the connection was reset ({error.strerror or error})"
        except (ValueError, IndexError) as error:
            return f"no HTTP ({error})"

    async def _answered(self) -> str:
        if self._open is None:
            self._open = await asyncio.open_connection(self._host, self._port, limit=4 << 20)
        reader, writer = self._open
        writer.write(self._ask)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        status = int(head[0].split()[1])
        headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
        if "content-length" in headers:
            await reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                await reader.readexactly(size + 2)
            await reader.readexactly(2)
        else:
            await reader.read()
        if headers.get("connection") == "close":
            self.close()
        self._commit = headers.get("x-commit", "")
        return "" if status == 200 else f"answered {status}"


async def run(url: str, rate: float, seconds: float, requests: int, as_json: bool) -> Seen:
    """Visit until the time or the number is over, or standard input ends."""
    seen, over, loop = Seen(), asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    if as_json:
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        leash = asyncio.create_task(reader.read())
        leash.add_done_callback(lambda _: over.set())
    each = {QUICK: VISITORS[QUICK] / rate, **PACE}
    visits = [
        asyncio.create_task(Visitor(url, path, seen).visit(each[path], over))
        for path, count in VISITORS.items()
        for _ in range(count)
    ]
    until = loop.time() + seconds
    while not over.is_set():
        if loop.time() > until or seen.right + seen.wrong >= requests:
            over.set()
        if as_json:
            print(json.dumps(seen.told()), flush=True)
        await asyncio.sleep(0.25)
    await asyncio.gather(*visits)
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=150, help="requests of / a second")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="for another program")
    given = parser.parse_args()
    seen = asyncio.run(run(given.url, given.rate, given.seconds, given.requests, given.json))
    if given.json:
        print(json.dumps(seen.told()), flush=True)
        return 0
    print(f"{seen.right + seen.wrong} requests, {seen.wrong} failed", *seen.failures, sep="\n")
    print(f"the slowest / took {seen.slowest:.2f} s")
    return 1 if seen.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
