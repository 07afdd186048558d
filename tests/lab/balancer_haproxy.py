"""haproxy as the balancers' machinery: one process, steered through its runtime socket.

It hides nothing: no retries, no redispatch. Each request has a connection of its own to its
server, so that none can meet one that the server is just closing.
"""

from __future__ import annotations

import csv
import io
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lab.balancer import SLOTS, Seen
from tests.lab.balancer_groups import Group
from tests.lab.leashed import Leashed

CONFIG = """\
global
    maxconn 4000
    nbthread 1
    stats socket {control} mode 600 level admin
defaults
    mode http
    balance roundrobin
    retries 0
    option http-server-close
    http-reuse never
    timeout connect 2s
    timeout client 120s
    timeout server 120s
    timeout check 1s
    timeout queue 5s
    http-check expect status 200
    default-server check inter 300ms fastinter 100ms downinter 100ms rise 2 fall 2
"""
FRONT = """
frontend {name}
    bind fd@{door}
    default_backend {name}
backend {name}
    option httpchk GET {path}
    server-template s 1-{slots} 127.0.0.1:1 disabled
"""
REASONS = {
    "L7STS": "Target.ResponseCodeMismatch",
    "L7TOUT": "Target.Timeout",
    "L4TOUT": "Target.Timeout",
}


class Haproxy:
    """Servers are called s1 to s12, as many as there are slots."""

    def __init__(
        self, program: str, folder: Path, groups: Sequence[Group], doors: Sequence[socket.socket]
    ) -> None:
        self._program, self._folder, self._groups, self._doors = program, folder, groups, doors
        self._control = folder / "control"
        self._leash: Leashed

    def start(self) -> None:
        text = CONFIG.format(control=self._control)
        for group, door in zip(self._groups, self._doors, strict=True):
            text += FRONT.format(name=group.name, door=door.fileno(), path=group.path, slots=SLOTS)
        file, log = self._folder / "haproxy.cfg", self._folder / "log"
        file.write_text(text)
        fds = [door.fileno() for door in self._doors]
        self._leash = Leashed([self._program, "-db", "-q", "-f", file], log=log, fds=fds)
        for door in self._doors:
            door.close()  # haproxy has them now: it alone accepts
        end = time.monotonic() + 10
        while not self._listens():
            if not self._leash.alive or time.monotonic() > end:
                raise RuntimeError(f"starting haproxy: {log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        self._leash.stop()

    def check(self, group: str, slot: int, address: str, port: int) -> None:
        at = f"set server {group}/s{slot}"
        self._ask(f"{at} addr {address} port {port}")  # it answers with what has changed
        # After maintenance haproxy believes a server to be up until a check says otherwise.
        self._tell(f"{at} state drain", f"{at} health down")

    def serve(self, group: str, slot: int) -> None:
        self._tell(f"set server {group}/s{slot} state ready")

    def drain(self, group: str, slot: int) -> None:
        self._tell(f"set server {group}/s{slot} state drain")

    def drop(self, group: str, slot: int) -> None:
        server = f"{group}/s{slot}"
        self._tell(f"set server {server} state maint", f"shutdown sessions server {server}")

    def look(self) -> dict[tuple[str, int], Seen]:
        rows = csv.DictReader(io.StringIO(self._ask("show stat -1 4 -1").lstrip("# ")))
        return {
            (row["pxname"], int(row["svname"][1:])): Seen(
                row["status"].startswith(("UP", "DRAIN")),
                int(row["scur"]),
                REASONS.get(row["check_status"].lstrip("* "), ""),
            )
            for row in rows
        }

    def _tell(self, *commands: str) -> None:
        if wrong := self._ask(*commands).strip():
            raise RuntimeError(f"telling haproxy {'; '.join(commands)}: {wrong}")

    def _ask(self, *commands: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self._control))
            connection.sendall(("; ".join(commands) + "\n").encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self._control)) == 0
