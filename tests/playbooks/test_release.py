"""The host's part of a release, step by step, on a folder of this machine."""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE

MODULE = Path(__file__).parents[2] / "playbooks" / "library" / "release.py"
TOKEN = "<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"
GIT = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@kennel.example",
    "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@kennel.example",
    "GIT_CONFIG_GLOBAL": os.devnull, "PATH": os.environ["PATH"],
}  # fmt: skip


class Host:
    """One host, as Ansible would drive it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.before = folder, folder / "app", ""
        self.repository = folder / "repository"
        self.git("init", "-q", "-b", "master", str(self.repository))
        self.given: dict[str, Any] = {
            "root": str(self.root), "host": "prodweb1", "user": "", "services": [],
            "manager": "supervisor", "supervisorctl": "supervisorctl", "health": "", "port": 0,
            "address": "127.0.0.1", "timeout": 1, "drain_timeout": 1, "epoch": 7,
            "operation": "op-7", "repository": str(self.repository), "python": sys.executable,
            "requirements": "requirements.txt", "pip_options": ["--no-index"],
        }  # fmt: skip

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", *words], env=GIT, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            (self.repository / name.replace("__", ".")).write_text(text)
        at = ("-C", str(self.repository))
        self.git(*at, "add", "-A")
        self.git(*at, "commit", "-q", "--allow-empty", "-m", "more")
        return self.git(*at, "rev-parse", "HEAD")

    def script(self, step: str, **more: Any) -> list[str]:
        text = MODULE.read_text().replace(TOKEN, json.dumps({**self.given, "step": step, **more}))
        file = self.folder / f"{step}.py"
        file.write_text(self.before + text)
        return [sys.executable, str(file)]

    def take(self, step: str, **more: Any) -> dict[str, Any]:
        done = subprocess.run(self.script(step, **more), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def release(self, commit: str, number: int) -> str:
        """Make a release ready, without building anything."""
        name = self.take("fetch", commit=commit, release=number)["release"]
        (self.root / "virtualenvs" / "k").mkdir(exist_ok=True)
        link = self.root / "releases" / name / "virtualenv"
        if not link.is_symlink():
            link.symlink_to("../../virtualenvs/k")
        return name

    @property
    def live(self) -> str:
        return os.readlink(self.root / "current")

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.root / "state.json").read_text())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_fetch_lays_out_a_commit(host: Host):
    commit = host.commit(page__html="old", **{"run__sh": "#!/bin/sh"})
    told = host.take("fetch", commit=commit, release=12)
    assert told["release"] == f"0000012-{commit[:12]}"
    tree = host.root / "releases" / told["release"]
    assert sorted(p.name for p in tree.iterdir()) == ["REVISION", "page.html", "run.sh"]
    assert (tree / "REVISION").read_text() == commit + "\n"
    again = host.take("fetch", commit=commit, release=12)
    assert again["release"] == told["release"]
    assert again["output"] == f"{commit} was here already"
    assert host.state == {"epoch": 7, "turn": 0, "operation": "op-7"}


def test_of_two_workers_at_one_operation_the_later_one_is_heard(host: Host):
    """One that was paused while another took over wakes, and goes on as if nothing were."""
    commit = host.commit(a="1")
    assert host.take("fetch", commit=commit, release=1, turn=2)["release"]
    assert host.take("report", turn=5)["release"] == "", "even a look takes the turn"
    late = host.take("fetch", commit=commit, release=1, turn=2)
    assert late["failed"] and "another worker has taken this operation over" in late["msg"]
    assert host.take("mend", turn=6)["said"] == "has no release yet"
    over = host.take("fetch", commit=commit, release=1, turn=6)
    assert over["failed"] and "this operation was ended" in over["msg"]
    assert host.take("fetch", commit=commit, release=1, turn=7)["release"], "the one after mending"
    assert host.take("report", epoch=8, turn=1)["changed"] is False, "a newer one begins at one"
    assert host.take("report", turn=9)["failed"], "and no turn makes up for an older operation"


def test_a_person_at_the_keyboard_gets_the_next_number(host: Host):
    commit = host.commit(a="1")
    host.take("fetch", commit=commit, release=41)
    assert host.take("fetch", commit=commit, epoch=0)["release"].startswith("0000042-")
    assert host.state["epoch"] == 7, "and takes no epoch from the bot"


def test_fetch_says_what_is_missing(host: Host):
    host.commit(a="1")
    told = host.take("fetch", commit="f" * 40, release=1)
    assert told["failed"] and f"has no commit {'f' * 40}" in told["msg"]
    told = host.take("fetch", commit="--upload-pack=id", release=1)
    assert told["msg"] == "fetching: '--upload-pack=id' is not a whole commit"
    told = host.take("fetch", commit="a" * 40, release=1, repository="/no/such/place")
    assert told["failed"] and "/no/such/place" in told["output"]


def test_a_virtualenv_is_built_once_for_the_same_requirements(host: Host):
    first, second = host.commit(requirements__txt="-r more.txt\n", more__txt=""), host.commit(a="2")
    third = host.commit(more__txt="# changed\n")
    keys = []
    for number, commit in enumerate((first, second, third), 1):
        name = host.take("fetch", commit=commit, release=number)["release"]
        told = host.take("build", release=name)
        assert "failed" not in told, told
        keys.append((host.root / "releases" / name / "virtualenv").resolve())
        assert ("have not changed" in told["output"]) == (number == 2)
    assert keys[0] == keys[1] != keys[2]
    assert (keys[0] / "bin" / "python").exists()


def test_a_virtualenv_that_was_left_half_done_is_built_anew(host: Host):
    name = host.take("fetch", commit=host.commit(a="1"), release=1)["release"]
    assert "failed" not in host.take("build", release=name)
    [made] = (host.root / "virtualenvs").iterdir()
    (made / ".complete").unlink()
    (made / "half").touch()
    assert "have not changed" not in host.take("build", release=name)["output"]
    assert (made / ".complete").exists() and not (made / "half").exists()


def test_a_virtualenv_that_cannot_be_built_leaves_nothing(host: Host):
    commit = host.commit(requirements__txt="no-such-package-here==1\n")
    name = host.take("fetch", commit=commit, release=1)["release"]
    told = host.take("build", release=name)
    assert told["failed"]
    assert told["msg"] == "python -m pip install: exit status 1"
    assert "no-such-package-here" in told["output"]
    assert not (host.root / "releases" / name / "virtualenv").exists()
    assert not [*(host.root / "virtualenvs").iterdir()], "the disk may have been full of it"
    told = host.take("build", release=name, python="/no/such/python")
    assert told["msg"] == "running /no/such/python: No such file or directory"


def test_a_virtualenv_that_points_into_a_release_is_for_it_alone(host: Host):
    """`-e .` leads into the release's folder, which gets another name when it comes back."""
    files = {"pyproject__toml": PROJECT, "builds__py": BUILDS, "requirements__txt": "-e .\n"}
    first = host.commit(**files, kennel__py="dog = 'old'")
    second = host.commit(kennel__py="dog = 'new'")
    found = []
    for number, commit in enumerate((first, second), 1):
        name = host.take("fetch", commit=commit, release=number)["release"]
        told = host.take("build", release=name)
        assert "failed" not in told, told
        host.take("switch", release=name)
        host.take("health")
        python = host.root / "releases" / name / "virtualenv" / "bin" / "python"
        ask = [str(python), "-P", "-c", "import kennel; print(kennel.dog)"]
        found.append(subprocess.run(ask, capture_output=True, text=True, cwd="/").stdout.strip())
    assert found == ["old", "new"]
    again = host.take("fetch", commit=first, release=3, again=True)
    assert not again["ready"], "it is built again, under its new name"


BUILDS = """
import os, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    about = "Metadata-Version: 2.1\\nName: kennel\\nVersion: 1\\n"
    kind = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    with zipfile.ZipFile(os.path.join(folder, "kennel-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("kennel.pth", os.getcwd())
        for name, text in (("METADATA", about), ("WHEEL", kind), ("RECORD", "")):
            wheel.writestr(f"kennel-1.dist-info/{name}", text)
    return "kennel-1-py3-none-any.whl"
"""
PROJECT = """
[build-system]
requires = []
build-backend = "builds"
backend-path = ["."]
"""


def test_a_deploy_key_of_gits_own_config_is_used(host: Host, monkeypatch):
    program(host.folder / "bin", "own-ssh", f"echo asked > {host.folder}/asked; exit 1")
    config = host.folder / "gitconfig"
    config.write_text(f"[core]\n\tsshCommand = {host.folder}/bin/own-ssh\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    repository = "git@kennel.example:kennel.git"
    told = host.take("fetch", commit="a" * 40, release=1, repository=repository)
    assert told["msg"].startswith("git fetch: exit status")
    assert (host.folder / "asked").exists()


def test_submodules_are_left_out_and_told(host: Host):
    at = ("-C", str(host.repository))
    head = host.commit(a="1")
    modules = '[submodule "other"]\n\tpath = vendor/other\n\turl = ../other\n'
    (host.repository / ".gitmodules").write_text(modules)
    host.git(*at, "add", ".gitmodules")
    host.git(*at, "update-index", "--add", "--cacheinfo", f"160000,{head},vendor/other")
    host.git(*at, "commit", "-q", "-m", "with another")
    told = host.take("fetch", commit=host.git(*at, "rev-parse", "HEAD"), release=1)
    assert told["output"].endswith("fetched; its submodules are left out: vendor/other")


def test_switch_and_back(host: Host):
    old = host.release(host.commit(a="1"), 1)
    host.take("switch", release=old)
    assert host.take("health")["output"] == "has no services"
    new = host.release(host.commit(a="2"), 2)
    host.take("switch", release=new)
    assert host.live == f"releases/{new}"
    assert host.take("switch", release=new), "taking the step again keeps where it came from"
    told = host.take("back")
    assert (host.live, told["back_on"]) == (f"releases/{old}", old)
    assert host.take("back")["output"] == "it was not switched yet"


def test_the_first_release_has_nothing_to_go_back_to(host: Host):
    new = host.release(host.commit(a="1"), 1)
    host.take("switch", release=new)
    assert host.take("back")["msg"] == f"going back: there was no release before {new}"


def test_mend_finishes_or_undoes_what_was_begun(host: Host):
    old = host.release(host.commit(a="1"), 1)
    host.take("switch", release=old)
    assert host.take("mend")["said"].startswith("is well on"), "it was restarted on it, and is well"
    assert host.take("mend")["said"].startswith("keeps")
    told = host.take("switch", release=old)
    assert told["msg"] == "this operation was ended, and the host mended: this step is too late"
    host.given["epoch"] = 8
    new = host.release(host.commit(a="2"), 2)
    state = {**host.state, "switch": {"from": old, "to": new, "phase": "begun"}}
    (host.root / "state.json").write_text(json.dumps(state))
    told = host.take("mend")
    assert told["said"] == f"is back on {old[8:15]} (release 1)"
    assert host.live == f"releases/{old}"
    assert host.state["switch"] is None


def test_an_older_operation_is_refused(host: Host):
    commit = host.commit(a="1")
    host.take("fetch", commit=commit, release=1)
    host.take("fetch", commit=commit, release=2, epoch=9, operation="op-9")
    told = host.take("fetch", commit=commit, release=3)
    assert told["failed"]
    assert told["msg"] == (
        "a newer operation, op-9, was on this host since: this one is too late. "
        "Where Packlead's database is a new one, say: packlead number-from 10"
    )


def test_clean_keeps_the_newest_and_what_is_live(host: Host):
    names = [host.release(host.commit(a=str(n)), n) for n in range(1, 6)]
    (host.root / "virtualenvs" / "unused").mkdir()
    host.take("switch", release=names[0])
    host.take("health")
    told = host.take("clean", keep=2)
    assert told["output"] == "took away 2 releases and 1 virtualenvs"
    left = sorted(p.name for p in (host.root / "releases").iterdir())
    assert left == [names[0], *names[3:]]
    refs = host.git("--git-dir", str(host.root / "repository"), "for-each-ref").count("\n") + 1
    assert refs == 3


def test_run_has_the_environment_of_the_host_and_no_shell(host: Host):
    code = """import os, sys; key = os.environ['KEY']
print(key == 'a $(id) b', key, os.environ['QUOTED'], sys.argv[1:])"""
    name = host.release(host.commit(show__py=code), 1)
    venv = host.root / "virtualenvs" / "k" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(sys.executable)
    (host.root / "shared" / "env").write_text("# a comment\nKEY=a $(id) b\nQUOTED='x y'\n")
    told = host.take("run", release=name, argv=["show.py", "$(id)", "{{ 1 }}"])
    assert told["output"] == "True [KEY] x y ['$(id)', '{{ 1 }}']", "and what it prints has none"


def test_only_one_at_a_time_and_mend_ends_what_nobody_waits_for(host: Host):
    name = host.release(host.commit(wait__py="import time; time.sleep(60)"), 1)
    venv = host.root / "virtualenvs" / "k" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(sys.executable)
    running = subprocess.Popen(
        host.script("run", release=name, argv=["wait.py"]), stdout=subprocess.PIPE
    )
    lock = (host.root / ".lock").open()
    while True:  # until it has the lock
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(lock, fcntl.LOCK_UN)
            time.sleep(0.02)
        except BlockingIOError:
            break
    time.sleep(0.2)
    told = host.take("report", patience=0.3)
    assert told["failed"] and "waiting for the lock" in told["msg"]
    assert host.take("mend")["said"] == "has no release yet"
    assert running.wait(PATIENCE) == -15
    running.stdout.close()


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_ends_nothing(host: Host, hours: int):
    """By the program, in the middle of it, as time synchronisation does it."""
    said = host.folder / "set"
    host.before = f"""import os, time
now = time.time
time.time = lambda: now() + {hours * 3600} * os.path.exists({str(said)!r})
"""
    code = f"import pathlib, time; pathlib.Path({str(said)!r}).touch(); time.sleep(0.5); print(7)"
    name = host.release(host.commit(migrate__py=code), 1)
    venv = host.root / "virtualenvs" / "k" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(sys.executable)
    told = host.take("run", release=name, argv=["migrate.py"])
    assert told.get("output") == "7", told


def test_a_step_ends_when_nobody_listens_any_more(host: Host):
    name = host.release(host.commit(wait__py="import time; time.sleep(60)"), 1)
    venv = host.root / "virtualenvs" / "k" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(sys.executable)
    running = subprocess.Popen(
        host.script("run", release=name, argv=["wait.py"]),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(0.5)
    assert running.poll() is None
    running.stdout.close()
    running.wait(PATIENCE)


def test_what_programs_print_is_told_plainly(host: Host):
    noise = "print('\\x1b[31mred\\x1b[0m\\rover'); print('x' * 900); raise SystemExit(4)"
    name = host.release(host.commit(loud__py=noise), 1)
    venv = host.root / "virtualenvs" / "k" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(sys.executable)
    told = host.take("run", release=name, argv=["loud.py"])
    assert told["msg"] == "python loud.py: exit status 4"
    assert told["output"].splitlines() == ["red", "over", "x" * 500]


def program(folder: Path, name: str, code: str) -> None:
    """Put a program of this name where the next step will find it."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{code}\n")
    (folder / name).chmod(0o755)


def test_systemd_is_asked_the_same_way(host: Host, monkeypatch):
    programs, log = host.folder / "bin", host.folder / "log"
    program(programs, "sudo", 'shift; exec "$@"')
    program(programs, "journalctl", "echo Main process exited")
    program(
        programs,
        "systemctl",
        f"""echo "$@" >> {log}
case "$1" in show) cat {host.folder}/state ;; restart) test -e {host.folder}/starts ;; esac""",
    )
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    host.given |= {"manager": "systemd", "services": ["app-web"]}
    (host.folder / "state").write_text("MainPID=7\nActiveState=active\n")
    (host.folder / "starts").touch()
    old = host.release(host.commit(a="1"), 1)
    assert "failed" not in host.take("switch", release=old)
    assert host.take("health")["output"] == "runs"
    new = host.release(host.commit(a="2"), 2)
    (host.folder / "starts").unlink()
    (host.folder / "state").write_text("ActiveState=failed\nMainPID=0\n")
    told = host.take("switch", release=new)
    assert told["msg"] == "app-web does not start: no output"
    assert told["output"] == "Main process exited"
    (host.folder / "starts").touch()
    (host.folder / "state").write_text("MainPID=7\nActiveState=active\n")
    assert host.take("back", hard=True)["back_on"] == old
    first = "reset-failed app-web\nrestart app-web\n"  # or systemd would refuse after a few starts
    assert log.read_text().startswith(first)


def test_what_hangs_is_not_waited_for(host: Host, monkeypatch):
    programs, log = host.folder / "bin", host.folder / "log"
    program(programs, "sudo", 'shift; exec "$@"')
    program(
        programs,
        "systemctl",
        f"""echo "$@" >> {log}
case "$1" in show) echo ActiveState=active; echo MainPID=7 ;; esac""",
    )
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    host.given |= {"manager": "systemd", "services": ["app-web"]}
    old = host.release(host.commit(a="1"), 1)
    new = host.release(host.commit(a="2"), 2)
    host.take("switch", release=old)
    host.take("health")
    host.take("switch", release=new)
    log.unlink()
    assert host.take("back", hard=True)["back_on"] == old
    assert log.read_text().splitlines()[:4] == [
        "stop --no-block app-web", "kill --signal=SIGKILL app-web", "reset-failed app-web",
        "restart app-web",
    ]  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_application_belongs_to_its_user_and_services_to_root(host: Host):
    for folder in (host.folder, *list(host.folder.parents)[:3]):
        folder.chmod(0o755)
    program(host.folder / "bin", "supervisorctl", "echo web RUNNING pid 7 by $(id -un)")
    host.given |= {"user": "nobody", "services": ["web"]}
    host.given["supervisorctl"] = str(host.folder / "bin" / "supervisorctl")
    commit = host.commit(a="1")
    subprocess.run(["chown", "-R", "nobody", str(host.repository)], check=True)
    name = host.take("fetch", commit=commit, release=1)["release"]
    told = host.take("switch", release=name)
    assert told["output"].endswith("by root")
    owners = {p.lstat().st_uid for p in [host.root, *host.root.rglob("*")]}
    assert owners == {host.repository.stat().st_uid}
