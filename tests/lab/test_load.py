"""The load generator sees what it is there to see."""

from __future__ import annotations

import socket
import time

import pytest

from tests.lab.load import Load
from tests.lab.testing import Quiet, serve
from tests.waiting import until


class Well(Quiet):
    """Answers with a body."""

    def do_GET(self) -> None:
        self.answer(b"well")


class Broken(Quiet):
    """Answers with an error of the server."""

    def do_GET(self) -> None:
        self.answer(b"no", status=503)


class Cut(Quiet):
    """Promises more than it says."""

    def do_GET(self) -> None:
        self.answer(b"half", length=8)
        self.close_connection = True


class Mute(Quiet):
    """Closes without an answer."""

    def do_GET(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


def test_what_is_well_is_counted_and_nothing_else():
    with serve(Well) as port, Load(f"http://127.0.0.1:{port}") as load:
        until(lambda: load.right > 20)
    assert (load.wrong, load.failures) == (0, [])
    assert load.asked == load.right > 20


@pytest.mark.parametrize(
    ("server", "said"), [(Broken, "answered 503"), (Cut, "cut short"), (Mute, "cut short")]
)
def test_every_failure_is_said_in_words(server: type[Quiet], said: str):
    with serve(server) as port, Load(f"http://127.0.0.1:{port}") as load:
        until(lambda: load.wrong > 2)
    assert load.right == 0
    assert said in load.failures[0]


def test_nobody_there_is_a_failure_too():
    with Load("http://127.0.0.1:9") as load:
        until(lambda: load.wrong > 2)
    assert "refused" in load.failures[0]


def test_it_ends_when_its_time_is_over():
    with serve(Well) as port, Load(f"http://127.0.0.1:{port}", seconds=0.3) as load:
        time.sleep(0.3)
        until(lambda: load._process.poll() == 0)
