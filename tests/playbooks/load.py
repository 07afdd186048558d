"""Visitors: they ask the balancer without a pause, and count every answer that was not right."""

from __future__ import annotations

import http.client
import threading
import time
from types import TracebackType
from urllib.parse import urlsplit


class Load:
    """`with Load(url) as load:` ... then `load.wrong` must be empty."""

    def __init__(self, url: str, visitors: int = 3, pause: float = 0.03) -> None:
        self._address, self._pause = urlsplit(url).netloc, pause
        self._end = threading.Event()
        paths = ["/healthz"] * visitors + ["/big", "/slow?seconds=1"]
        self._threads = [threading.Thread(target=self._visit, args=(path,)) for path in paths]
        self.right, self.wrong = 0, list[str]()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, path: str) -> None:
        web = http.client.HTTPConnection(self._address, timeout=20)
        while not self._end.is_set():
            begun = time.time()
            try:
                web.request("GET", path)
                answer = web.getresponse()
                answer.read()  # raises when it is cut short
                if answer.status == 200:
                    self.right += 1
                else:
                    self.wrong.append(f"{begun:.2f} {path}: {answer.status}")
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(f"{begun:.2f} {path}: {error!r}")
                web.close()
            self._end.wait(self._pause)
        web.close()
