"""For tests of the lab: a small server, waiting until something is so."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

HERE = "127.0.0.1"


class Quiet(http.server.BaseHTTPRequestHandler):
    """What a small server does, without a word on the terminal."""

    protocol_version = "HTTP/1.1"

    @property
    def port(self) -> int:
        return int(self.connection.getsockname()[1])

    def answer(self, body: bytes, status: int = 200, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serve(handler: type[Quiet]) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer((HERE, 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def get(url: str, path: str) -> tuple[int, bytes]:
    client = http.client.HTTPConnection(url, timeout=60)
    try:
        client.request("GET", path)
        got = client.getresponse()
        return got.status, got.read()
    finally:
        client.close()
