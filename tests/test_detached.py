"""A detached run outlives whoever started it, is read from its first line, and ends as a whole."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bot import detached
from bot.errors import Cancelled
from tests.waiting import until

ROOT = Path(__file__).parent.parent
ENV = {"PATH": os.environ["PATH"]}


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def read(run: Path, cancelled: Callable[[], str] = lambda: "") -> tuple[int, list[object]]:
    lines: list[object] = []
    code = detached.wait(run, lambda number, line: lines.append((number, line)), cancelled)
    return code, lines


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def supervisor(run: Path) -> int:
    until((run / "begun").exists)
    return int((run / "begun").read_text())


def test_lines_and_exit_code(tmp_path: Path):
    run = tmp_path / "7-1"
    program = python("print('{\"a\": 1}'); print('plain'); print('[]'); raise SystemExit(3)")
    assert detached.state(run) == "new"
    assert detached.start(run, program, ENV)
    told = [(1, {"a": 1}), (2, {"text": "plain"}), (3, {"text": "[]"})]
    assert read(run) == (3, told)
    assert detached.state(run) == "ended"
    assert not detached.start(run, program, ENV), "what has ended is not started again"
    assert read(run) == (3, told), "whoever comes later reads the same"
    assert run.stat().st_mode & 0o777 == 0o700


def test_it_gets_the_given_environment_and_no_other(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    run = tmp_path / "run"
    detached.start(run, python("import os, json; print(json.dumps(dict(os.environ)))"), ENV)
    _, [(_, seen)] = read(run)
    assert "SLACK_BOT_TOKEN" not in seen


def test_a_killed_starter_loses_nothing(tmp_path: Path):
    run, count, goes_on = (tmp_path / name for name in ("run", "count", "goes on"))
    work = (
        f"open({str(count)!r}, 'a').write('x')\nimport os, time\n"
        "for i in range(10):\n    print('{\"i\": %d}' % i, flush=True)\n"
        f"    while not os.path.exists({str(goes_on)!r}): time.sleep(0.05)"
    )
    bot = subprocess.Popen(
        python(
            "import pathlib; from bot import detached\n"
            f"run = pathlib.Path({str(run)!r})\n"
            f"detached.start(run, {python(work)!r}, {ENV!r}); detached.wait(run, lambda *a: None)"
        ),
        cwd=ROOT,
    )
    until(lambda: (run / "events.jsonl").exists() and (run / "events.jsonl").stat().st_size)
    bot.send_signal(signal.SIGKILL)
    bot.wait()
    assert detached.state(run) == "running"
    assert not detached.start(run, python(work), ENV)
    goes_on.touch()
    assert read(run) == (0, [(i + 1, {"i": i}) for i in range(10)])
    assert count.read_text() == "x"


def test_cancel_ends_everything_that_was_started(tmp_path: Path):
    run, pids = tmp_path / "run", tmp_path / "pids"
    work = (  # a grandchild in a session of its own, deaf to SIGTERM's friends, as ansible's are
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " start_new_session=True)\n"
        f"open({str(pids)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    detached.start(run, python(work), ENV)
    until(lambda: pids.exists() and pids.read_text())
    with pytest.raises(Cancelled) as stop:
        read(run, cancelled=lambda: "ada")
    assert stop.value.by == "ada"
    assert not alive(int(pids.read_text()))
    with pytest.raises(Cancelled):  # a bot that was restarted meanwhile is told the same
        read(run)


def test_a_deaf_program_is_killed(tmp_path: Path):
    run = tmp_path / "run"
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True)"
    )
    detached.start(run, python(f"{deaf}\ntime.sleep(60)"), ENV)
    until(lambda: (run / "events.jsonl").exists() and (run / "events.jsonl").stat().st_size)
    with pytest.raises(Cancelled):
        read(run, cancelled=lambda: "ada")


def test_a_cancel_that_comes_too_late_changes_nothing(tmp_path: Path):
    run = tmp_path / "run"
    detached.start(run, python("print('done')"), ENV)
    until((run / "code").exists)
    assert read(run, cancelled=lambda: "ada")[0] == 0


def test_nothing_is_left_behind_by_a_program_that_ended(tmp_path: Path):
    run, pids = tmp_path / "run", tmp_path / "pids"
    work = (
        "import subprocess; child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        f"open({str(pids)!r}, 'w').write(str(child.pid))"
    )
    detached.start(run, python(work), ENV)
    assert read(run)[0] == 0
    assert not alive(int(pids.read_text()))


def test_a_killed_supervisor_takes_its_program_along_and_is_told(tmp_path: Path):
    run, pids = tmp_path / "run", tmp_path / "pids"
    work = f"import os, time; open({str(pids)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    detached.start(run, python(work), ENV)
    until(lambda: pids.exists() and pids.read_text())
    os.kill(supervisor(run), signal.SIGKILL)
    until(lambda: not alive(int(pids.read_text())))
    assert detached.state(run) == "lost"
    with pytest.raises(detached.Lost, match="vanished"):
        read(run)
    with pytest.raises(detached.Lost):
        detached.start(run, python("pass"), ENV)


def test_nobody_waits_for_longer_than_the_lease(tmp_path: Path):
    run = tmp_path / "run"
    detached.start(run, python("import time; time.sleep(60)"), ENV, lease=0.3)
    until((run / "code").exists)
    with pytest.raises(detached.Lost, match="looked after"):
        read(run)


def test_whoever_waits_keeps_the_lease(tmp_path: Path):
    run = tmp_path / "run"
    detached.start(run, python("import time; time.sleep(4)"), ENV, lease=2)
    assert read(run)[0] == 0


def test_a_program_that_is_not_there(tmp_path: Path):
    run = tmp_path / "run"
    detached.start(run, ["/no/such/program"], ENV)
    assert read(run) == (127, [])
    assert "starting /no/such/program" in detached.errors(run)


def test_two_who_start_the_same_run_start_it_once(tmp_path: Path):
    run, count = tmp_path / "run", tmp_path / "count"
    work = python(f"open({str(count)!r}, 'a').write('x'); import time; time.sleep(0.3)")
    assert [detached.start(run, work, ENV) for _ in range(5)] == [True, *[False] * 4]
    assert read(run)[0] == 0
    assert count.read_text() == "x"


def test_what_nobody_looks_after_has_expired_and_knows_it(tmp_path: Path):
    """A machine that has slept wakes: what runs there goes on for a moment, and may ask."""
    run = tmp_path / "run"
    detached.start(run, python("import time; time.sleep(60)"), ENV, lease=1.5)
    watched = detached.watched(run, 1.5)
    assert detached.attended(watched)
    assert detached.attended({}), "by hand nobody watches"
    os.kill(supervisor(run), signal.SIGSTOP)
    until(lambda: not detached.attended(watched))
    assert detached.state(run) == "running", "who is stopped cannot end it"
    os.kill(supervisor(run), signal.SIGCONT)
    until(lambda: detached.state(run) == "expired")
    with pytest.raises(detached.Expired):
        read(run)


def test_what_it_needs_is_made_once_and_by_whoever_starts_it(tmp_path: Path):
    run, made, second = tmp_path / "run", list[str](), list[bool]()

    def other() -> None:
        made.append("the other's")

    def mine() -> None:
        made.append("mine")
        second.append(detached.start(run, ["true"], {}, before=other))

    assert detached.start(run, ["true"], {}, before=mine)
    assert (made, second) == (["mine"], [False])
    assert detached.wait(run, lambda *_: None) == 0
    assert not detached.start(run, ["true"], {}, before=other)
    assert made == ["mine"]


def test_what_ended_long_ago_is_forgotten(tmp_path: Path):
    for name, age in (("1-1.1", 40), ("2-1.1", 20), ("3-1.1", 0)):
        (tmp_path / name).mkdir()
        if age:
            (tmp_path / name / "code").touch()
            os.utime(tmp_path / name / "code", times=(time.time() - age * 86400,) * 2)
    detached.forget(tmp_path, time.time() - 30 * 86400)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2-1.1", "3-1.1"]
