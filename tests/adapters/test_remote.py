"""A program on a host: its own words, its output without secrets, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.aws.records import Instance
from bot.adapters.records import Ran, Talked
from bot.adapters.remote import Remote, there
from bot.config import Config
from bot.errors import Cancelled
from bot.events import Event, Printed, Shown, Typed
from bot.far import _Messages
from bot.sessions import Sessions
from bot.store import Store
from playbooks.library import release
from tests.waiting import PATIENCE, until

SECRETS = {"KEY": "kennel-secret-1", "ODD": 'two "quoted"\nlines', "SHORT": "abc", "LONG": "x" * 99}
HOST = Instance("i-1", "prodmanager1", "prod", "manager", "127.0.0.9", "running")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "srv"
    (root / "releases/1/virtualenv/bin").mkdir(parents=True)
    (root / "shared").mkdir()
    (root / "releases/1/virtualenv/bin/python").symlink_to(sys.executable)
    (root / "current").symlink_to("releases/1")
    lines = [f"KEY={SECRETS['KEY']}", 'ODD="two \\"quoted\\"\nlines"', "SHORT='abc'",
             f"LONG={SECRETS['LONG']}", "# NO=comment", "PYTHONPATH=there"]  # fmt: skip
    (root / "shared/env").write_text("\n".join(lines))
    return root


@pytest.fixture
def remote(root: Path, tmp_path: Path) -> Remote:
    told = {
        "app": {"repository": "r", "root": str(root), "line_shell": ["-c"], "line_seconds": 2},
        "ssh": {"connection": "local"},
        "types": {"manager": {}},
        "environments": {"prod": {"channel": "C0PROD"}},
    }
    return Remote(Config.model_validate(told), tmp_path / "runs")


def run(
    remote: Remote, code: str, *words: str, seconds: float = PATIENCE,
    cancelled: Callable[[], str] = lambda: "",
) -> tuple[Ran, str]:  # fmt: skip
    told: dict[str, Event] = {}
    ran = remote.run("7", HOST, ["-c", code, *words], seconds, told.__setitem__, cancelled)
    return ran, "".join(e.text for e in told.values() if isinstance(e, Printed))


def test_words_environment_and_place(remote: Remote, root: Path):
    words = ["a  b", "it's", "$(id)", "`id`", "*", "", "zwei\nZeilen", "ä"]
    code = (
        "import json, os, sys;"
        "print(json.dumps([sys.argv[1:], os.getcwd(), len(os.environ['ODD'])]))"
    )
    ran, text = run(remote, code, *words)
    assert (ran.how, ran.code) == ("ended", 0)
    assert json.loads(text) == [words, str(root / "releases/1"), len(SECRETS["ODD"])]


def test_status_signal_and_what_is_printed_where(remote: Remote):
    ran, text = run(remote, "import sys; print('out'); sys.stderr.write('err\\n'); sys.exit(7)")
    assert (ran.how, ran.code, ran.tail, text) == ("ended", 7, "out\nerr\n", "out\nerr\n")


def test_ended_by_a_signal(remote: Remote):
    ran, _ = run(remote, "import os; os.kill(os.getpid(), 11)")
    assert (ran.how, ran.code) == ("ended", -11)


def test_what_is_no_program_is_told(remote: Remote, root: Path):
    (root / "releases/1/virtualenv/bin/python").unlink()
    ran, text = run(remote, "1")
    assert (ran.how, text) == ("unreachable", "")


def test_no_secret_leaves_in_any_form(remote: Remote):
    code = """
import json, os, sys, time
for form in (str, repr, json.dumps):
    for name in ("KEY", "ODD", "SHORT", "LONG"):
        for letter in form(os.environ[name]):
            print(letter, end="", flush=True)
        print()
"""
    ran, text = run(remote, code)
    for name in ("KEY", "ODD", "LONG"):
        assert text.count(f"[{name}]") == 3, text
        assert SECRETS[name] not in text + ran.tail
    assert text.count("abc") == 3, "a short one would mask ordinary words"


@given(
    text=st.text("akenl-sCrt1x", max_size=60), cuts=st.lists(st.integers(0, 99), max_size=8),
    put=st.integers(0, 60),
)  # fmt: skip
def test_it_does_not_matter_in_which_pieces(text: str, cuts: list[int], put: int):
    text = text[:put] + SECRETS["KEY"] + text[put:]
    whole = there.Mask(SECRETS).feed(text, True)
    mask, places = there.Mask(SECRETS), sorted({0, *(c for c in cuts if c < len(text)), len(text)})
    pieces = [mask.feed(text[a:b]) for a, b in pairwise(places)]
    assert SECRETS["KEY"] not in whole
    assert "".join(pieces) + mask.feed("", True) == whole


QUOTED = st.text("aA1_=\"'\\$`\n \t#", max_size=12)
ROWS = st.lists(st.one_of(QUOTED, QUOTED.map("KEY={}".format), QUOTED.map('export B="{}"'.format)))


@given(ROWS)
def test_the_environment_is_read_as_the_playbooks_read_it(rows: list[str]):
    text = "\n".join(rows)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "env"
        file.write_bytes(text.encode())
        wanted = {name: value for name, value, _, _ in release.assignments(text)}
        assert there.read_environment(file) == wanted


def test_a_key_of_many_lines_is_given_whole_and_masked_line_by_line(tmp_path: Path):
    key = "-----BEGIN PRIVATE KEY-----\nAbCdEf01=\n-----END PRIVATE KEY-----\n"
    (tmp_path / "env").write_text(release.assignment("JWT_KEY", key))
    values = there.read_environment(tmp_path / "env")
    assert values == {"JWT_KEY": key}
    assert "AbCdEf01" not in there.Mask(values).feed(f"some {key!r}, and AbCdEf01= alone", True)


def test_what_it_leaves_behind_is_ended(remote: Remote, tmp_path: Path):
    code = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '100'], start_new_session=True);"
        "print(p.pid)"
    )
    ran, text = run(remote, code)
    assert ran.how == "ended"
    assert not Path(f"/proc/{int(text)}").exists()


def test_cancelled_and_out_of_time(remote: Remote, tmp_path: Path):
    with pytest.raises(Cancelled):
        run(remote, "import time; time.sleep(100)", cancelled=lambda: "ada")
    late = Remote(remote._config, tmp_path / "late")
    ran, text = run(late, "import time; print('begun', flush=True); time.sleep(100)", seconds=8)
    assert (ran.how, text) == ("expired", "begun\n")


def test_asked_again_it_attaches(remote: Remote, root: Path):
    code = "open('count', 'a').write('x'); print('once')"
    first = run(remote, code)
    assert run(remote, code) == first
    assert (root / "releases/1/count").read_text() == "x"


def test_the_other_side_ends_all_when_nobody_listens(root: Path):
    about = {"root": str(root), "mode": "run", "argv": ["-c", "import time; time.sleep(100)"]}
    line = [sys.executable, "-c", Path(there.__file__).read_text(), json.dumps(about)]
    for goodbye in (lambda p: p.stdin.close(), lambda p: os.kill(p.pid, signal.SIGHUP)):
        process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        until(lambda p=process: there.below(p.pid))  # type: ignore[misc]
        [child] = there.below(process.pid)
        goodbye(process)
        process.wait(PATIENCE)
        # Whoever takes over what has ended may be a moment behind.
        until(lambda c=child: not Path(f"/proc/{c}").exists())  # type: ignore[misc]


class Typist:
    """Somebody who types a line when the one before has been answered."""

    def __init__(self, *lines: str) -> None:
        self.lines, self.events, self.ready = list(lines), list[Event](), False
        self.kept: list[str] = []

    def opened(self) -> None:
        self.ready = True

    def heard(self) -> list[str]:
        if not self.ready or not self.lines:
            return []
        self.ready = False
        return [self.lines.pop(0)]

    def took(self, text: str) -> None:
        self.kept.append(text)

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self.ready = self.ready or isinstance(event, Shown)

    def cancelled(self) -> str:
        return ""

    @property
    def shown(self) -> list[Shown]:
        return [e for e in self.events if isinstance(e, Shown)]


def talked(remote: Remote, *lines: str, seconds: float = PATIENCE) -> tuple[Talked, list[Shown]]:
    typist: Any = Typist(*lines)
    return remote.talk(HOST, seconds, typist), typist.shown


def test_a_shell_remembers(remote: Remote):
    ended, shown = talked(
        remote, "def twice(n):\n    return 2 * n", "a = twice(4)", "a",
        "import os; os.environ['KEY']", "raise ValueError('no')", "a, _", "sys.exit()",
        "import sys; sys.exit(3)",
    )  # fmt: skip
    assert ended == Talked("exit", "0")
    assert [e.text for e in shown][:4] == ["", "", "8\n", "'[KEY]'\n"]
    assert shown[4].text.splitlines()[-1] == "ValueError: no"
    assert shown[5].text == "(8, '[KEY]')\n"
    assert "NameError" in shown[6].text


def test_what_is_typed_is_kept_as_the_host_has_masked_it(remote: Remote):
    line = f"import os; os.environ['KEY'] == '{SECRETS['KEY']}'"
    typist: Any = Typist(line, "exit")
    remote.talk(HOST, 30, typist)
    assert typist.kept == ["import os; os.environ['KEY'] == '[KEY]'", "exit"]
    assert typist.shown[0].text == "True\n"


def test_a_line_goes_from_who_types_it_to_the_host_without_being_written_down(
    remote: Remote, store: Store
):
    line = f"import os; os.environ['KEY'] == '{SECRETS['KEY']}'"
    mine, _ = store.submit(
        "one", line="shell prod dogs", command="shell", environment="prod", person="ada",
        front="slack",
    )  # fmt: skip
    store.begin(mine.id)
    sessions = Sessions(store)
    for number, text in enumerate((line, line, "exit")):
        sessions.type(mine, f"delivery-{number}", text)
    sessions.type(mine, "delivery-0", line)  # it is delivered again
    job: Any = SimpleNamespace(operation=mine)
    quiet: Any = SimpleNamespace(cancelled=lambda: "")
    said = _Messages(job, store, sessions, quiet, "it is open")
    assert remote.talk(HOST, 30, said) == Talked("exit")
    told = [e.event for e in store.entries(mine.id)]
    typed = [e.text for e in told if isinstance(e, Typed) and e.text]
    assert typed == ["import os; os.environ['KEY'] == '[KEY]'"] * 2 + ["exit"]
    assert [e.text for e in told if isinstance(e, Shown)] == ["True\n", "True\n"]
    file = Path(store.url.removeprefix("sqlite:///"))
    for part in file.parent.glob(f"{file.name}*"):
        assert SECRETS["KEY"].encode() not in part.read_bytes()


@pytest.mark.parametrize(
    ("line", "how"),
    [
        ("import os; os.kill(os.getpid(), 9)", "ended"),
        ("import os; os.kill(os.getppid(), 9)", "dropped"),
        (
            "while True:\n  try:\n    for n in iter(int, 1): n + 1\n  except BaseException: pass",
            "stuck",
        ),
        ("exit", "exit"),
        ("1", "expired"),
    ],
)
def test_how_a_shell_ends(remote: Remote, line: str, how: str):
    ended, _ = talked(remote, line, seconds=4 if how == "expired" else 40)
    assert ended.how == how


def test_a_line_that_takes_too_long(remote: Remote):
    ended, shown = talked(remote, "while True: pass", "'again'", "exit")
    assert "it ran for 2 s" in shown[0].note and "KeyboardInterrupt" in shown[0].text
    assert (shown[1].text, ended.how) == ("'again'\n", "exit")
