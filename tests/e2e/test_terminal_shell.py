"""`packlead shell prod`, as somebody at a terminal uses it: tmux stands in for the terminal."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.events import Printed, Typed
from bot.store import Operation
from tests.e2e.process import ROOT, Packlead
from tests.e2e.world import World, on_host
from tests.lab import config as lab_config
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="there is no tmux here")


class Terminal:
    """A terminal of 100 by 30 in which one program runs; what it shows, and what is pressed."""

    def __init__(self, folder: Path, env: Mapping[str, str], *words: str) -> None:
        self.socket = str(folder / "tmux")
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **env}
        given = [part for key, value in env.items() for part in ("-e", f"{key}={value}")]
        self.tmux(
            "new-session", "-d", "-x", "100", "-y", "30", *given, "-c", str(ROOT),
            sys.executable, "-m", "bot", *words,
        )  # fmt: skip
        self.tmux("set-option", "-g", "remain-on-exit", "on")

    def tmux(self, *words: str) -> str:
        line = ["tmux", "-S", self.socket, "-f", "/dev/null", *words]
        return subprocess.run(line, capture_output=True, text=True, timeout=60).stdout

    def screen(self, *options: str) -> str:
        return self.tmux("capture-pane", "-p", "-J", "-S", "-", *options)

    def shows(self, *texts: str, seconds: float = PATIENCE, options: tuple[str, ...] = ()) -> str:
        """Wait until the screen shows all of these."""

        def seen() -> str:
            screen = self.screen(*options)
            return screen if all(text in screen for text in texts) else ""

        return until(seen, lambda: f"the terminal shows {texts}, not:\n{self.screen()}", seconds)

    def types(self, text: str, *shown: str) -> None:
        self.tmux("send-keys", "-l", text)
        self.press("Enter")
        if shown:
            self.shows(*shown)

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def close(self) -> None:
        self.tmux("kill-server")


Open = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def start(env: Mapping[str, str], *words: str) -> Terminal:
        (folder := tmp_path / f"terminal-{len(opened)}").mkdir()
        opened.append(Terminal(folder, env, *words))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def newest(world: World) -> Operation:
    [found] = world.store.history("prod", "shell", 1)
    return found


def channel(world: World, *texts: str) -> None:
    def said() -> str:
        return "\n".join(m.wording for m in world.lab.slack.messages("C0PROD")[-6:])

    until(lambda: all(t in said() for t in texts), lambda: f"C0PROD shows {said()!r}")


def test_it_is_as_it_was_before(world: World, terminal: Open):
    shell = terminal(world.lab.env, "shell", "prod")
    shell.shows("what for?")
    shell.types("count the dogs", "a shell on prodmanager1 of prod: count the dogs", ">>> ")
    channel(world, "ada opens a shell on prodmanager1, in a terminal: count the dogs")

    shell.types("print('\\x1b[31mred dog\\x1b[0m')")
    shell.shows("\x1b[31mred dog", options=("-e",))

    shell.types("first = 20 + 1")
    shell.types("first * 2", "\n42\n")
    shell.press("Up", "Up")
    shell.types(" + 100")  # behind `first = 20 + 1`
    shell.types("first", "\n121\n")
    shell.tmux("send-keys", "-l", "7777")
    shell.press("Left", "Left")
    shell.types("+", "\n154\n")

    shell.types("while True: pass")
    shell.press("Enter")
    shell.press("C-c")
    shell.shows("KeyboardInterrupt")
    shell.types("first + 1", "\n122\n")

    shell.types("import os; os.getcwd(), os.get_terminal_size()", "columns=100, lines=30")
    assert "/srv/app/releases/" in shell.screen()
    shell.tmux("resize-window", "-x", "90", "-y", "24")
    shell.types("os.get_terminal_size()", "columns=90, lines=24")

    number = newest(world).number
    shell.types("exit()", "it ended on prodmanager1, with status 0")
    until(lambda: not newest(world).live, "the operation ends")
    assert (newest(world).number, newest(world).state) == (number, "done")
    channel(world, "the shell of ada: it ended on prodmanager1")
    log = [entry.event for entry in world.store.entries(newest(world).id)]
    assert not [e for e in log if isinstance(e, Typed | Printed)], "only begin and end are recorded"


@pytest.mark.soak
def test_a_terminal_that_is_closed(world: World, terminal: Open):
    shell = terminal(world.lab.env, "shell", "prod", "--reason", "not for long")
    shell.shows(">>> ")
    assert on_host(world, "prodmanager1", "manage.py shell")
    shell.close()
    until(lambda: not on_host(world, "prodmanager1", "manage.py shell"), "the shell ends")
    until(lambda: not newest(world).live, "the operation ends")
    assert newest(world).state == "failed"
    channel(world, "the shell of ada: the terminal is gone, and the shell with it")


@pytest.mark.soak
def test_cancelled_from_slack(world: World, terminal: Open, ada: Any):
    shell = terminal(world.lab.env, "shell", "prod", "--reason", "forgotten at night")
    shell.shows(">>> ")
    assert "is asked to stop" in ada.says(f"/cancel {newest(world).number}").answer
    shell.shows("cancelled by ada")
    until(lambda: not on_host(world, "prodmanager1", "manage.py shell"), "the shell ends")


@pytest.mark.soak
def test_it_waits_for_a_yes(world: World, terminal: Open, tmp_path: Path):
    asked = {"environments": {"prod": {"approval": "confirm"}}}
    hosts = lab_config.of_hosts(world.lab.machines)
    more = lab_config.merged(hosts, asked)
    (tmp_path / "house").mkdir()
    path = lab_config.write(
        tmp_path / "house" / "packlead.toml", world.lab.repository, ["prod", "puppystream"], more
    )
    env = {**world.lab.env, "PACKLEAD_CONFIG": str(path)}
    shell = terminal(env, "shell", "prod", "--reason", "carefully")
    found = re.search(r"approve (\d+) (\w+)", shell.shows("waits for a yes"))
    assert found and ">>> " not in shell.screen()
    Packlead(env, "run", f"approve {found[1]} {found[2]}").ends(0).says("it is #")
    shell.shows(">>> ")
    shell.types("6 * 7", "\n42\n")
    shell.types("exit()", "it ended on prodmanager1, with status 0")


def test_who_may_not(world: World):
    Packlead(world.lab.env, "shell", "prod", "--reason", "x").ends(1).says("needs a terminal")
