"""Both machineries of the balancers, haproxy and our own proxy: they lose and hide nothing."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import machine
from tests.lab.balancer_groups import Group
from tests.lab.balancer_haproxy import Haproxy
from tests.lab.balancer_python import PythonProxy
from tests.lab.serving import listen
from tests.lab.testing import HERE, Quiet, get, serve
from tests.waiting import until


class Application(Quiet):
    """What a server behind the balancer does: well, slowly, or wrongly."""

    def do_GET(self) -> None:
        match self.path:
            case "/slow":
                time.sleep(0.5)
                self.answer(str(self.port).encode())
            case "/broken":
                self.close_connection = True
            case "/cut":
                self.answer(b"half", length=8)
                self.close_connection = True
            case _:
                self.answer(str(self.port).encode())


@pytest.fixture(params=["haproxy", "python"])
def balancer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, str]]:
    """A machinery with one group, web, and the URL of its front."""
    group, door = Group("web", "web", 0, "/healthz", 10), listen(HERE)
    url = "{}:{}".format(*door.getsockname())
    program = machine.look().haproxy
    if request.param == "haproxy" and not program:
        pytest.skip("no haproxy here")
    python = request.param == "python"
    made = PythonProxy([group], [door]) if python else Haproxy(program, tmp_path, [group], [door])
    made.start()
    yield made, url
    made.stop()


def test_servers_come_and_go_without_a_lost_request(balancer: tuple[Any, str]) -> None:
    machinery, url = balancer
    answers: list[tuple[int, str]] = []
    statuses: set[int] = set()
    ended = threading.Event()

    def ask() -> None:
        client = http.client.HTTPConnection(url, timeout=60)
        while not ended.is_set():
            client.request("GET", "/")
            got = client.getresponse()
            answers.append((got.status, got.read().decode()))
            statuses.add(got.status)

    with serve(Application) as one, serve(Application) as two:
        _join(machinery, 1, one)
        clients = [threading.Thread(target=ask) for _ in range(3)]
        for client in clients:
            client.start()
        for _ in range(3):
            _join(machinery, 2, two)
            until(lambda: answers[-1:] == [(200, str(two))])
            machinery.drain("web", 2)
            time.sleep(0.1)
            answers.clear()
            until(lambda: len(answers) > 20)
            assert {port for _, port in answers[3:]} == {str(one)}
        ended.set()
        for client in clients:
            client.join()
    assert statuses == {200}


def test_a_drained_server_finishes_what_it_has(balancer: tuple[Any, str]) -> None:
    machinery, url = balancer
    with serve(Application) as one, serve(Application) as two:
        _join(machinery, 1, one)
        slow = threading.Thread(target=lambda: got.append(get(url, "/slow")))
        got: list[tuple[int, bytes]] = []
        slow.start()
        until(lambda: machinery.look()["web", 1].requests == 1)
        machinery.drain("web", 1)
        _join(machinery, 2, two)
        assert get(url, "/") == (200, str(two).encode())
        slow.join()
        assert got == [(200, str(one).encode())]


def test_nothing_is_hidden(balancer: tuple[Any, str]) -> None:
    machinery, url = balancer
    assert get(url, "/")[0] == 503
    with serve(Application) as one, serve(Application) as two:
        _join(machinery, 1, one)
        _join(machinery, 2, two)
        assert [get(url, "/broken")[0] for _ in range(2)] == [502, 502]
        with pytest.raises(http.client.IncompleteRead):
            get(url, "/cut")
    until(lambda: not machinery.look()["web", 1].up)


def _join(machinery: Any, slot: int, port: int) -> None:
    machinery.check("web", slot, HERE, port)
    assert not machinery.look()["web", slot].up
    until(lambda: machinery.look()["web", slot].up)
    machinery.serve("web", slot)
