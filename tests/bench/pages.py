"""A log of 20 MB and 200,000 lines in a real browser: how soon it is seen, and what it weighs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bot.events import Done, Output, Planned, Step, StepEnded, StepStarted, encode
from bot.schema import events
from bot.store import Store
from tests.bench.bot import ROOT
from tests.bench.table import Figure, within
from tests.fronts.browser import Browser, program

LINES, BYTES = 200_000, 20_000_000
SHAPES = {"5 lines a task, 20 hosts": (5, 20, 2000), "one task on one host": (80, 1, 1)}
SECONDS, MEGABYTES, GROWTH = 1.0, 300, 15
PORT = "import sys; from tests.bench.pages import serve; serve(sys.argv[1])"


def measure(runs: int) -> Iterator[Figure]:
    """Each shape of a log as often as told, in a browser and before a server of its own."""
    if not program():
        yield Figure(
            "d. the page of a large log", "not measured: there is no chromium", broken=True
        )
        return
    for name, shape in SHAPES.items():
        paint, whole, page, grown = list[float](), list[float](), list[float](), list[float]()
        with tempfile.TemporaryDirectory() as folder:
            size = fill(Path(folder), *shape)
            for _ in range(runs):
                one = look(Path(folder))
                for values, value in zip((paint, whole, page, grown), one, strict=True):
                    values.append(value)
        print(f"{name}: {size / 1e6:.1f} MB of text", flush=True)
        yield within(f"d. first paint, {name}", paint, SECONDS, 2, " s")
        yield within(f"d. memory of the page, {name}", page, MEGABYTES, 0, " MB")
        yield within(f"d. what the server grew by, {name}", grown, GROWTH, 0, " MB")
        yield Figure(f"d. until all of it was there, {name}", f"{sorted(whole)[runs // 2]:.1f} s")


def fill(folder: Path, lines: int, hosts: int, tasks: int) -> int:
    """Write a database with one operation of that many lines; returns the bytes of its text."""
    store = Store(f"sqlite:///{folder / 'packlead.db'}")
    operation, _ = store.submit(
        "large", line="deploy prod master", command="deploy", environment="prod", person="ada",
        front="slack", exclusive=True,
    )  # fmt: skip
    store.begin(operation.id)
    store.append(operation.id, "plan", Planned("a large one", (), (Step("s", "everywhere"),)))
    store.append(operation.id, "step", StepStarted("s"))
    width, rows, size = BYTES // LINES - 1, [], 0
    for number in range(LINES // lines):
        text = "\n".join(f"{number * lines + n:>9} {'abc <b>&' * 20}"[:width] for n in range(lines))
        size += len(text) + 1
        told = Output(f"prodweb{number % hosts + 1}", f"task {number // hosts % tasks}", text)
        kind, data = encode(told)
        rows.append({"operation": operation.id, "key": f"o{number}", "at": time.time(),
                     "kind": kind, "data": data})  # fmt: skip
    with store.engine.begin() as c:
        c.execute(events.insert(), rows)
    store.append(operation.id, "over", StepEnded("s"))
    store.end(operation.id, "done", Done("well"))
    store.close()
    return size


def look(folder: Path) -> tuple[float, float, float, float]:
    """Return first paint, seconds until all is there, and MB of the page and of the server."""
    server = subprocess.Popen(
        [sys.executable, "-c", PORT, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        url = server.stdout.readline().strip()
        with Browser() as browser:
            browser.open(f"{url}/")  # what a server and a browser load once
            before = resident(server.pid)
            began = time.monotonic()
            browser.open(f"{url}/operations/1")
            paint = browser.until(
                "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            )
            browser.until("document.querySelector('#main').dataset.complete")
            whole = time.monotonic() - began
            browser.click("details.step:not(.plan) > summary")
            browser.until("document.querySelector('details.host')")
            browser.click("details.host > summary")
            browser.until("document.querySelector('details.task')")
            browser.click("details.task > summary")
            browser.until("document.querySelector('pre')?.innerText.includes('abc <b>&')")
            for _ in range(30):  # down it, as somebody reads
                browser.says("scrollBy(0, 20000)")
            browser.says("new Promise(done => setTimeout(done, 300))")
            assert browser.console == [], browser.console
            return paint / 1000, whole, browser.memory(), resident(server.pid) - before
    finally:
        server.terminate()
        server.wait(20)


def resident(pid: int) -> float:
    """Return the MB that a process has resident."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS")) / 1024


def serve(folder: str) -> None:
    """Serve the pages of a database until ended: the child process of `look`."""
    import signal
    import threading

    from bot.config import Config
    from tests.fronts.served import Served

    config = Config.model_validate(
        {
            "app": {"repository": "app.git"}, "types": {"web": {}},
            "environments": {"prod": {"channel": "C0PROD"}},
        }
    )  # fmt: skip
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with Served(config, Store(f"sqlite:///{folder}/packlead.db")) as served:
        print(served.url, flush=True)
        ended.wait()
