"""A real browser: headless Chromium, spoken to by its DevTools protocol; no driver is needed."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from tests.waiting import PATIENCE

T = TypeVar("T")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def program() -> str:
    """Return where Chromium is; "" where there is none."""
    told = os.environ.get("CHROMIUM", "")
    return told or next((path for name in NAMES if (path := shutil.which(name))), "")


class Browser:
    """One browser with one page at a time, synchronous: for tests."""

    def __init__(self, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        self.width, self.height, self.dark = width, height, dark
        self.console: list[str] = []  # what was complained about there
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._loop = asyncio.new_event_loop()
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._session = ""

    def __enter__(self) -> Self:
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._chromium = subprocess.Popen(
            [
                program(), "--headless=new", "--no-sandbox", "--disable-gpu",
                "--disable-dev-shm-usage", "--remote-debugging-port=0", "--no-first-run",
                "--disable-extensions", "--disable-background-networking", "--hide-scrollbars",
                "--no-proxy-server", f"--user-data-dir={self._folder.name}", "about:blank",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            self._run(self._connect())
            self.look(self.width, self.height, self.dark)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if hasattr(self, "_http"):
            self._run(self._http.close())
        try:
            os.killpg(self._chromium.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._chromium.wait()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._folder.cleanup()

    # -- what a person does ----------------------------------------------------------------------

    def look(self, width: int, height: int, dark: bool = False) -> None:
        """Take another screen, or another taste."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=2 if width < 600 else 1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'", "the page is not there")

    def says(self, script: str) -> Any:
        """Return what an expression comes to in the page."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def until(self, script: str, what: str = "", seconds: float = PATIENCE) -> Any:
        """Wait until an expression is true, and return it; of an object only that it is there."""
        script = f"(v => v && typeof v === 'object' ? true : v)({script})"
        end = time.monotonic() + seconds
        while True:
            try:
                if found := self.says(script):
                    return found
            except AssertionError:
                if time.monotonic() > end:
                    raise
            assert time.monotonic() < end, f"{what or script}; the page says: {self.text()[:2000]}"
            time.sleep(0.05)

    def text(self) -> str:
        return str(self.says("document.body ? document.body.innerText : ''"))

    def click(self, selector: str) -> None:
        """Click where it is, with a mouse."""
        place = self.says(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left",
                clickCount=1,
            )  # fmt: skip

    def press(self, key: str) -> None:
        codes = {"Enter": 13, "Tab": 9}
        text = {"text": "\r"} if key == "Enter" else {} if key == "Tab" else {"text": key}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key,
                windowsVirtualKeyCode=codes.get(key, ord(key[0].upper())),
                **(text if kind == "keyDown" else {}),
            )  # fmt: skip

    def keep_downloads(self, folder: Path) -> None:
        """Have what is downloaded from now on put there."""
        folder.mkdir(exist_ok=True)
        self.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def downloaded(self, folder: Path) -> Path:
        """Wait until something has been downloaded, and return its file."""
        end = time.monotonic() + PATIENCE
        while not (found := [f for f in folder.iterdir() if _is_whole(f)]):
            assert time.monotonic() < end, "nothing was downloaded"
            time.sleep(0.05)
        return found[0]

    def picture(self, path: Path, whole: bool = True) -> None:
        """Save what is seen; `whole`: all of the page."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def memory(self) -> float:
        """Return the MB that the page's own process takes for itself."""
        self.call("HeapProfiler.collectGarbage")
        kinds: Callable[[Path], bytes] = lambda p: (p / "cmdline").read_bytes()  # noqa: E731
        group, sizes = self._chromium.pid, []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if os.getpgid(int(process.name)) == group and b"--type=renderer" in kinds(process):
                    rows = (process / "smaps_rollup").read_text().splitlines()
                    sizes.append(sum(int(r.split()[1]) for r in rows if r.startswith("Pss:")))
            except (OSError, ValueError):
                continue
        return max(sizes, default=0) / 1024

    # -- the protocol ----------------------------------------------------------------------------

    def call(self, method: str, **parameters: Any) -> Any:
        return self._run(self._call(method, parameters))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE * 2)

    async def _connect(self) -> None:
        port = Path(self._folder.name) / "DevToolsActivePort"
        end = time.monotonic() + PATIENCE
        while not (port.exists() and len(port.read_text().split()) == 2):
            assert self._chromium.poll() is None, f"{program()} has ended"
            assert time.monotonic() < end, f"{program()} does not listen"
            await asyncio.sleep(0.05)
        number, path = port.read_text().split()
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(f"ws://127.0.0.1:{number}{path}", max_msg_size=0)
        self._reading = asyncio.create_task(self._read())
        made = await self._call("Target.createTarget", {"url": "about:blank"})
        held = await self._call(
            "Target.attachToTarget", {"targetId": made["targetId"], "flatten": True}
        )
        self._session = held["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self._call(f"{domain}.enable", {})

    async def _call(self, method: str, parameters: dict[str, Any]) -> Any:
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": parameters}
        if self._session:
            asked["sessionId"] = self._session
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json(asked)
        try:
            answer = await asyncio.wait_for(self._answers[number], PATIENCE)
        finally:
            del self._answers[number]
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if (waiting := self._answers.get(told.get("id", 0))) and not waiting.done():
                waiting.set_result(told)
            self._hear(told.get("method", ""), told.get("params", {}))

    def _hear(self, method: str, told: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.console.append(json.dumps(told["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.console.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.console.append(json.dumps(told["args"])[:500])


def _is_whole(file: Path) -> bool:
    """Whether it is downloaded: Chromium puts an empty one in its place first."""
    return file.suffix != ".crdownload" and file.stat().st_size > 0
