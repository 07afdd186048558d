#!/usr/bin/python3
"""The host's part of a release: one step of it a call, under one lock, for one operation at a time.

It runs on the host with nothing but its python (3.6 and newer). Ansible writes the arguments into
the text below, so a step is one round trip; a module of the usual kind, which brings Ansible's own
library along, costs three times as much. What it answers: `msg` (a sentence, where it failed) and
`output` (the tail of what was printed).

    ROOT/repository/               bare, filled by git fetch
    ROOT/releases/NUMBER-COMMIT/   a tree, with a file REVISION and a link `virtualenv`; it holds
                                   `.well`, with its commit, since it was live here and well
    ROOT/virtualenvs/KEY/          by what it is built of; holds `.complete` when it is, and
                                   `.bound` where it points into the one release that it is for
    ROOT/current                   link to the live release
    ROOT/shared/                   env (see `assignments`), static, media
    ROOT/state.json                the newest operation that was here, and its turn: which worker's,
                                   and playbook's, it is; a switch, or a change of env, not over yet
"""

import fcntl
import hashlib
import json
import os
import pwd
import re
import select
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

ARGUMENTS = r"""<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"""  # JSON never holds three quotes in a row
ASSIGNED = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=")
COMMIT = re.compile(r"[0-9a-f]{40}")
INCLUDED = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]+(\S+)", re.MULTILINE)
# A requirement that is a folder of the release itself, editable or not.
LOCAL = re.compile(r"^\s*(-e|--editable)?[ \t=]*(?:\.{1,2}/|\.(?:\s*$|\[)|[\w.-]+/)", re.MULTILINE)
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
UP = {"RUNNING", "active", "reloading"}
DOWN = {"FATAL", "EXITED", "STOPPED", "failed", "inactive", "missing"}
TAIL = 20  # lines of output that are told
POLL = 0.1
HIDDEN = {}  # what no output may hold: text, and what stands there instead


class Stop(Exception):
    """What went wrong, in a sentence, with what was printed."""

    def __init__(self, text, output=""):
        super().__init__(text)
        self.output = output


class Steps:
    """The steps, each named in a playbook. `a` are the arguments of the call."""

    def __init__(self, arguments):
        self.a = arguments
        self.host = Host(arguments)
        self.services = Services(arguments, self.host)

    def fetch(self):
        """Fetch the commit, and lay its tree out as a release that nobody uses yet."""
        host, commit = self.host, self.a["commit"]
        if not COMMIT.fullmatch(commit):
            raise Stop(f"fetching: {commit!r} is not a whole commit")
        for folder in ("releases", "virtualenvs", "shared"):
            (host.root / folder).mkdir(exist_ok=True)
        here = have(host, commit)
        if not here:
            get(host, commit, self.a["repository"])
        number = int(self.a.get("release") or 0) or newest(host) + 1
        name = f"{number:07d}-{commit[:12]}"
        git(host, "update-ref", f"refs/releases/{name}", commit)  # git keeps what a ref names
        ready = bool(self.a.get("again")) and take_again(host, commit, name)
        if host.revision(name) != commit:
            lay_out(host, commit, name)
        output = f"{commit} {'was here already' if here else 'fetched'}"
        left = submodules(host, commit)
        if left:
            output += f"; its submodules are left out: {', '.join(left)}"
        said = "" if ready else f"has no release of {commit[:7]} ready: it is built there first"
        return {"release": name, "ready": ready, "output": output, "said": said}

    def build(self):
        """Give the release its virtualenv, which all releases with the same requirements share."""
        release = self.host.root / "releases" / self.a["release"]
        key, bound = virtualenv_key(self.host, release)
        place = self.host.root / "virtualenvs" / key
        if (place / ".complete").exists():
            output = f"the requirements have not changed: {key}"
        else:
            output = make_virtualenv(self.host, release, place, bound)
        link(f"../../virtualenvs/{key}", release / "virtualenv")
        return {"output": output}

    def run(self):
        """Run a program of the application, with its virtualenv and its environment."""
        release = self.host.root / "releases" / self.a["release"]
        argv = [release / "virtualenv" / "bin" / "python", *self.a["argv"]]
        return {"output": self.host.run(argv, cwd=release, env=application_env(self.host))}

    def switch(self):
        """Make the release the live one, and restart the services on it; unless it went ahead.

        With `take` it is one of that commit that was well here before, and comes back.
        """
        self._take()
        state, to = self.host.state(), self.a["release"]
        went = state.get("went_ahead") or {}
        ours = went.get("epoch") == self.a.get("epoch") and not state.get("switch")
        if ours and went.get("to") == to == self.host.current():
            return {"well": True, "said": self.a.get("say", ""), "output": went["output"]}
        told = self._switch(to)
        # A call less for each host: worth it where everybody waits for what comes.
        return dict(told, **self.health(), well=True) if self.a.get("at_once") else told

    def go_ahead(self):
        """Begin to switch, and leave it to itself: it keeps the lock, so that the next step waits.

        That is `switch`, which finds it done and well; or does it again, and tells what is wrong.
        """
        self._take()
        self.host.must_have(self.a["release"])
        if os.fork():
            return {"changed": True, "output": "begun"}
        os.setsid()  # the host's lock is ours now, and so is what `mend` would end
        os.pwrite(self.host.lock, str(os.getpid()).ljust(20).encode(), 0)
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)  # or whoever reads our answer would wait for its end
        try:
            self._switch(self.a["release"])
            output = self.health()["output"]
            went = {"to": self.a["release"], "epoch": self.a.get("epoch"), "output": output}
            self.host.remember(went_ahead=went)
        finally:
            os._exit(0)

    def restart(self):
        """Restart the services on the release that is live: a switch to where it is already."""
        now = self.host.current()
        if not now:
            raise Stop("restarting: there is no release on this host yet")
        return dict(self._switch(now), release=now)

    def health(self):
        """Wait until the live release answers with its commit, or its services stay up."""
        output = self._well(self.host.current(), self.a["timeout"])
        self.host.remember(switch=None)
        return {"output": output, "said": self.a.get("say", "")}

    def back(self):
        """Go back to the release from before a switch that was begun, and be well on it."""
        begun = self.host.state().get("switch")
        if not begun:
            return {"back_on": "", "said": "was not touched", "output": "it was not switched yet"}
        return self._back(begun)

    def mend(self):
        """Make what is live and what runs the same again, after somebody stopped in between."""
        self.host.end_operation()
        begun, now = self.host.state().get("switch"), self.host.current()
        if not now:
            return {"said": "has no release yet", "output": ""}
        if not begun:
            return self._look_after(now)
        if begun["to"] == now and begun["phase"] == "restarted":
            try:
                output = self._well(now, self.a["timeout"])
            except Stop:
                pass
            else:
                self.host.remember(switch=None)
                return {"said": f"is well on {short(now)}, which is new", "output": output}
        return self._back(begun)

    def stop(self):
        """Stop the services for good, gracefully: the instance is about to go."""
        return {"changed": True, "output": self.services.stop() or "no services", "said": "is idle"}

    def report(self):
        """Say what is live."""
        now = self.host.current()
        commit = self.host.revision(now)
        state = self.host.state()
        return {"release": now, "commit": commit, "state": state, "output": now or "no release yet"}

    def look_at_key(self):
        """Say whether a key has its value already, and what runs was started with it."""
        if self.a.get("back"):
            self.host.end_operation()
        held = environment(self.host).get(self.a["key"])
        begun = self.host.state().get("environment")
        stands = held == self.a.get("value") and not begun
        return {"stands": stands, "begun": bool(begun), "output": ""}

    def key(self):
        """Give a key its value, or take it away, and be well with it."""
        host, name, value = self.host, self.a["key"], self.a.get("value")
        for text in (value, environment(host).get(name)):
            hide(text, f"[{name}]")
        begun = host.state().get("environment")
        host.remember(environment={"key": name, "phase": "begun"})
        keep_environment(host, name, value)
        said = self.a.get("said", "")
        if not host.current():
            host.remember(environment=None)
            return {"changed": True, "said": said, "output": "no release yet"}
        if begun and self.a.get("hard"):  # out of the balancer, and never well with what it has
            self.services.kill()
        output = self.services.restart()
        host.remember(environment={"key": name, "phase": "restarted", "at": time.monotonic()})
        output += self.services.well(host.current(), self.a["timeout"])
        host.remember(environment=None)
        return {"changed": True, "said": said, "output": output}

    def keys(self):
        """Bring the application's environment up to date, before anything is started with it."""
        held, values = environment(self.host), self.a["values"]
        for name in values:
            hide(values[name], f"[{name}]")
        late = sorted(name for name in values if held.get(name) != values[name])
        for name in late:
            keep_environment(self.host, name, values[name])
        said = f"{len(late)} of {len(values)} keys were not the newest: {', '.join(late)}"
        return {"changed": bool(late), "output": said if late else "all keys are the newest"}

    def clean(self):
        """Keep the newest releases and what they need; take the others away."""
        host = self.host
        os.sync()  # the image of a master holds what is on its disk, and is asked for next
        begun = host.state().get("switch") or {}
        newest = sorted(n for n in host.listed("releases") if n[0] != ".")[-int(self.a["keep"]) :]
        kept = {*newest, host.current(), begun.get("from"), begun.get("to")}
        gone = [n for n in host.listed("releases") if n not in kept]
        for name in gone:
            shutil.rmtree(str(host.root / "releases" / name), ignore_errors=True)
            if name[0] != ".":
                git(host, "update-ref", "-d", f"refs/releases/{name}")
        left = host.listed("releases")
        used = {(host.root / "releases" / n / "virtualenv").resolve().name for n in left}
        unused = [n for n in host.listed("virtualenvs") if n not in used]
        for name in unused:
            shutil.rmtree(str(host.root / "virtualenvs" / name), ignore_errors=True)
        said = f"took away {len(gone)} releases and {len(unused)} virtualenvs"
        return {"changed": bool(gone or unused), "output": said}

    def _take(self):
        commit, name = self.a.get("take"), self.a["release"]
        if not commit:
            return
        if not take_again(self.host, commit, name):
            raise Stop(f"taking {commit[:7]} again: it is not on this host any more")
        git(self.host, "update-ref", f"refs/releases/{name}", commit)

    def _switch(self, to):
        host, now = self.host, self.host.current()
        host.must_have(to)
        begun = host.state().get("switch")  # by this operation, or by one that nobody mended
        before = begun["from"] if begun and begun["to"] == now else now
        note = {"from": before, "to": to}
        host.remember(switch=dict(note, phase="begun"))
        link(f"releases/{to}", host.root / "current")
        output = self.services.restart()
        now = time.monotonic()
        host.remember(switch=dict(note, phase="restarted", at=now))
        return {"changed": True, "well": False, "said": "", "output": output or "no services"}

    def _back(self, begun):
        host, before = self.host, begun["from"]
        if not before:
            raise Stop(f"going back: there was no release before {begun['to']}")
        commit = host.must_have(before)
        link(f"releases/{before}", host.root / "current")
        output = ""
        # Where the old processes still answer, they never knew of it.
        if begun["phase"] != "begun" or not self.services.answers(commit):
            if self.a.get("hard"):  # out of the balancer: nothing is in flight but our questions
                self.services.kill()
            output = self.services.restart()
        output += self._well(before, self.a["timeout"])
        host.remember(switch=None)
        was_restart = before == begun["to"]
        said = f"{'was started once more on' if was_restart else 'is back on'} {short(before)}"
        return {"changed": True, "back_on": before, "said": said, "output": output}

    def _well(self, release, timeout):
        output = self.services.well(release, timeout)
        bound = self.host.root / "releases" / release / "virtualenv" / ".bound"
        if release and not bound.exists():  # a rollback takes it as it is, under another name
            file = self.host.root / "releases" / release / ".well"
            file.write_text(f"{self.host.revision(release)}\n")
        return output

    def _look_after(self, now):
        try:
            return {"said": f"keeps {short(now)}", "output": self._well(now, 3)}
        except Stop:
            self.services.restart()
            output = self._well(now, self.a["timeout"])
            return {"changed": True, "said": f"was restarted on {short(now)}", "output": output}


class Host:
    """The place of the application on this host, held by one call at a time."""

    def __init__(self, arguments):
        self.a = arguments
        self.root = Path(arguments["root"])
        self.owner = None  # to whom the application belongs, where that is not who we are
        self.lock = -1

    def take(self):
        """Take the lock, and refuse an operation that is older than the newest one here."""
        self._become_owner()
        self.root.mkdir(parents=True, exist_ok=True)
        self.lock = os.open(str(self.root / ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        begun, patience = time.monotonic(), float(self.a.get("patience") or 120)
        while True:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - begun
            self._refuse_late()
            ends = self.a["step"] == "mend" or self.a.get("back")
            if ends and waited > 1:  # what nobody waits for any more
                self._end_holder(signal.SIGTERM if waited < 15 else signal.SIGKILL)
            if waited > patience:
                raise Stop(f"waiting for the lock of {self.root}: held for {waited:.0f} s by now")
            time.sleep(POLL)
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, str(os.getpid()).encode(), 0)
        self._refuse_late()
        self.remember()

    def listed(self, folder):
        place = self.root / folder
        return [entry.name for entry in place.iterdir()] if place.is_dir() else []

    def current(self):
        """Return the name of the live release; nothing where there is none."""
        place = self.root / "current"
        if not place.is_symlink():
            return ""
        return Path(os.readlink(str(place))).name  # noqa: PTH115 - Path has none before 3.9

    def revision(self, name):
        file = self.root / "releases" / name / "REVISION"
        return file.read_text().strip() if name and file.exists() else ""

    def must_have(self, name):
        found = self.revision(name)
        if not found:
            raise Stop(f"looking for release {name!r}: it is not on this host")
        return found

    def state(self):
        try:
            return json.loads((self.root / "state.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def remember(self, **more):
        """Note what is done here, and by which operation."""
        state = self.state()
        new = dict(state, **more)
        if self._order() > order(state, "epoch", "turn"):
            epoch, turn = self._order()
            new.update(epoch=epoch, turn=turn, operation=str(self.a.get("operation", "")))
        if new != state:
            temporary = self.root / "state.json.new"
            temporary.write_text(json.dumps(new))
            temporary.rename(self.root / "state.json")

    def end_operation(self):
        """Note that this turn of it is over: a step of it that still comes late is refused."""
        epoch, turn = self._order()
        if epoch:
            self.remember(ended=epoch, ended_turn=turn)

    def run(self, argv, cwd="/", env=None, timeout=1800, as_root=False, check=True, called=""):
        """Run a program; return what it printed, or raise Stop with it. No shell is involved."""
        argv = [str(word) for word in argv]
        env = dict(env or os.environ)
        if self.owner and not as_root:
            env.update(HOME=self.owner.pw_dir, USER=self.owner.pw_name, LOGNAME=self.owner.pw_name)
        with (self.root / ".output").open("w+b") as out:
            try:
                child = subprocess.Popen(
                    argv, cwd=str(cwd), env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                    preexec_fn=self._become(as_root),
                    pass_fds=(self.lock,),  # whoever outlives us still holds the lock
                )  # fmt: skip
            except OSError as error:
                raise Stop(f"running {argv[0]}: {error.strerror}") from None
            trouble = self._waited(child, timeout, stoppable=not as_root)
            out.seek(max(0, out.seek(0, 2) - 60000))
            said = out.read().decode("utf-8", "replace")
        if check and (trouble or child.returncode):
            words = called or " ".join(Path(word).name for word in argv[:4])
            raise Stop(f"{words}: {trouble or f'exit status {child.returncode}'}", said)
        return said

    def begin(self, argv):
        """Start a program of the service manager, without waiting for it."""
        null = subprocess.DEVNULL
        become = self._become(as_root=True)
        return subprocess.Popen(argv, stdin=null, stdout=null, stderr=null, preexec_fn=become)

    def _waited(self, child, timeout, stoppable):
        """Wait for a program; return why it was ended, where it was."""
        end = time.monotonic() + timeout
        while True:
            try:
                child.wait(0.05)
                return ""
            except subprocess.TimeoutExpired:
                pass
            late = time.monotonic() > end
            if late or (stoppable and not somebody_listens()):
                end_tree(child)
                return f"did not end within {timeout:.0f} s" if late else "was stopped"

    def _become_owner(self):
        user = self.a.get("user")
        if not user or user == pwd.getpwuid(os.geteuid()).pw_name:
            return
        if os.geteuid():
            raise Stop(f"becoming {user}: only root can; set ansible_become")
        try:
            self.owner = pwd.getpwnam(user)
        except KeyError:
            raise Stop(f"becoming {user}: there is no such user") from None
        if not self.root.exists():
            self.root.mkdir(parents=True)
            os.chown(str(self.root), self.owner.pw_uid, self.owner.pw_gid)
        os.setegid(self.owner.pw_gid)
        os.seteuid(self.owner.pw_uid)

    def _become(self, as_root):
        """Return what a child does first: root for the services, the owner for all else."""
        if not self.owner:
            return None

        def become():
            os.seteuid(0)
            os.setegid(0)
            if not as_root:
                os.initgroups(self.owner.pw_name, self.owner.pw_gid)
                os.setgid(self.owner.pw_gid)
                os.setuid(self.owner.pw_uid)

        return become

    def _order(self):
        return order(self.a, "epoch", "turn")  # epoch 0: a person runs the playbook by hand

    def _refuse_late(self):
        state = self.state()
        mine, newest = self._order(), order(state, "epoch", "turn")
        if not mine[0]:
            return
        if mine[0] < newest[0]:
            newer = state.get("operation") or state["epoch"]
            text = f"a newer operation, {newer}, was on this host since: this one is too late"
            next_one = f"packlead number-from {newest[0] + 1}"
            raise Stop(f"{text}. Where Packlead's database is a new one, say: {next_one}")
        if mine < newest:
            raise Stop("another worker has taken this operation over since: this step is too late")
        over = mine <= order(state, "ended", "ended_turn")
        if over and self.a["step"] not in ("mend", "report") and not self.a.get("back"):
            raise Stop("this operation was ended, and the host mended: this step is too late")

    def _end_holder(self, number):
        try:
            os.killpg(int(os.pread(self.lock, 20, 0)), number)
        except (ValueError, OSError):
            pass


class Services:
    """The application's services, under systemd or supervisor, and whether they are well."""

    def __init__(self, arguments, host):
        self.a, self.host, self.names = arguments, host, arguments.get("services") or []
        self.supervisor = arguments.get("manager") == "supervisor"
        # A group, of all processes of that program; and while supervisord waits for one process by
        # its own name it uses up a processor.
        self.all = [
            name if ":" in name or not self.supervisor else f"{name}:*" for name in self.names
        ]

    def restart(self):
        """Restart them gracefully: what they are answering, they answer to the end."""
        if not self.names:
            return ""
        patience = float(self.a["drain_timeout"]) + 60
        if not self.supervisor:  # which counts starts: after a few of a bad release it refuses any
            self._manage("reset-failed", *self.names)
        try:
            return self._manage("restart", *self.all, timeout=patience, check=True)
        except Stop as stop:
            # supervisorctl complains about a service that did not run before, and starts it.
            if all(state in UP for state, _ in self.states()):
                return stop.output
            text = f"{', '.join(self.names)} does not start: {last(stop.output)}"
            raise Stop(text, f"{self.logs()}\n{stop.output}") from None

    def stop(self):
        """Stop them gracefully; one that does not run already is stopped."""
        if not self.names:
            return ""
        patience = float(self.a["drain_timeout"]) + 60
        return self._manage("stop", *self.all, timeout=patience)

    def states(self):
        """Return state and process of every service."""
        if self.supervisor:
            said = self._manage("status", *self.all)
            found = re.findall(r"^\S+ +([A-Z]+)(?: +pid (\d+))?", said, re.MULTILINE)
        else:
            said = self._manage("show", "-p", "ActiveState", "-p", "MainPID", *self.names)
            states = re.findall(r"^ActiveState=(.*)", said, re.MULTILINE)
            pids = re.findall(r"^MainPID=(.*)", said, re.MULTILINE)
            found = list(zip(states, pids))  # noqa: B905 - 3.10
        return found or [("missing", "")]

    def kill(self):
        """Stop what may hang without waiting for its grace; a restart must follow.

        They are asked to stop first: what is killed while it should run is started again at once,
        and a server that is asked to stop while it starts may not hear it.
        """
        if not self.supervisor:
            self._manage("stop", "--no-block", *self.names)
            self._manage("kill", "--signal=SIGKILL", *self.names)
            return
        pids = [int(pid) for _, pid in self.states() if pid]
        stop = self.host.begin([*shlex.split(self.a["supervisorctl"]), "stop", *self.all])
        end = time.monotonic() + 5
        while time.monotonic() < end and stop.poll() is None:
            if any(state == "STOPPING" for state, _ in self.states()):
                break
        for pid in pids:
            signal_all(tree(pid), signal.SIGKILL)
        stop.wait(60)

    def logs(self):
        """Return the tail of what they wrote lately, where that can be had."""
        said = []
        for name in self.names:
            if self.supervisor:
                both = [
                    self._manage("tail", "-6000", name, where) for where in ("stdout", "stderr")
                ]
                both = [t.partition("\n")[2] if len(t) > 5900 else t for t in both]  # whole lines
                said += [text for text in both if "ERROR (no log" not in text]
            else:
                unit = ["journalctl", "--no-pager", "-o", "cat", "-n", TAIL, "-u", name]
                said.append(self._journal(unit))
        return "\n".join(text for text in said if text.strip())

    def _journal(self, argv):
        if os.getuid():  # who may not with sudo may perhaps as they are
            try:
                return self.host.run(["sudo", "-n", *argv], as_root=True, timeout=10)
            except Stop:
                pass
        return self.host.run(argv, as_root=True, check=False, timeout=10)

    def well(self, release, timeout):
        """Return, in a sentence, how they are well on a release; raises Stop when they are not."""
        if not self.a.get("health"):
            return self._stay_up()
        commit, name = self.host.must_have(release), self.a["host"]
        begun = looked = time.monotonic()
        while True:
            left = begun + float(timeout) - time.monotonic()
            trouble, body = self._asked(commit, min(5.0, max(0.2, left)))
            now = time.monotonic()
            if not trouble:
                return f"answers with {commit[:7]} after {now - begun:.1f} s"
            over = left <= 0 or not somebody_listens()
            if not over and self.names and now - looked > 2:
                looked, down = now, [state for state, _ in self.states() if state in DOWN]
                over, body = bool(down), body or f"{', '.join(self.names)} is {' '.join(down)}"
            if over:
                text = f"{name} {trouble} after {now - begun:.0f} s"
                raise Stop(f"{text}: {body}" if body else text, self.logs())
            time.sleep(POLL)

    def answers(self, commit):
        """Tell whether a commit is what answers now."""
        return bool(self.a.get("health")) and not self._asked(commit, 5)[0]

    def _asked(self, commit, patience):
        """Ask for the health once; return the trouble or none, and the first line of the answer."""
        import http.client  # here, since it takes as long as all the others together

        port = int(self.a["port"])
        web = http.client.HTTPConnection(self.a["address"], port, timeout=patience)
        try:
            web.request("GET", self.a["health"], headers={"Connection": "close"})
            answer = web.getresponse()
            body = answer.read(65536).decode("utf-8", "replace")
        except ConnectionRefusedError:
            return f"refuses connections on port {port}", ""
        except OSError as error:
            return f"gives no answer on port {port} ({error})", ""
        except http.client.HTTPException as error:
            return f"does not speak HTTP on port {port} ({error!r})", ""
        finally:
            web.close()
        if answer.status != 200:
            return f"answers {answer.status}", first(body)
        if commit in body or (answer.getheader("X-Commit") or "").strip() == commit:
            return "", ""
        return f"answers 200, but not with commit {commit[:7]},", first(body)

    def _stay_up(self):
        """Return when each has run for two seconds since the restart, and as the same process."""
        if not self.names:
            return "has no services"
        before, state = self.states(), self.host.state()
        begun = [state.get(what) or {} for what in ("switch", "environment")]
        restarted = max(one.get("at", 0) for one in begun)
        time.sleep(max(0.5, min(2, restarted + 2 - time.monotonic())))
        after, name = self.states(), self.a["host"]
        for state, _ in before + after:
            if state not in UP:
                raise Stop(f"{name}: {', '.join(self.names)} is {state} after it", self.logs())
        if before != after:
            raise Stop(f"{name}: {', '.join(self.names)} starts again and again", self.logs())
        return "runs"

    def _manage(self, *words, timeout=30, check=False):
        if self.supervisor:
            argv = shlex.split(self.a["supervisorctl"])
        else:
            asks = words[0] == "show"  # which anybody may
            argv = [*(["sudo", "-n"] if os.getuid() and not asks else []), "systemctl"]
        return self.host.run([*argv, *words], timeout=timeout, as_root=True, check=check)


def git(host, *words, cwd="/", check=True, **more):
    """Run git on the host's own repository; it never asks anybody anything."""
    env = dict(os.environ, GIT_TERMINAL_PROMPT="0", LC_ALL="C", **more)
    quiet = ["-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "safe.directory=*"]
    argv = ["git", f"--git-dir={host.root / 'repository'}", *quiet, *words]
    return host.run(argv, cwd, env, check=check, called=f"git {words[0]}")


def have(host, commit):
    """Tell whether a commit is here; makes the repository where there is none."""
    place = host.root / "repository"
    if not place.is_dir():
        shutil.rmtree(f"{place}.new", ignore_errors=True)
        host.run(["git", "init", "--quiet", "--bare", f"{place}.new"])
        Path(f"{place}.new").rename(place)
        return False
    try:
        git(host, "cat-file", "-e", commit + "^{commit}")
    except Stop:
        return False
    return True


def get(host, commit, repository):
    """Fetch one commit; every branch and tag from a server that does not give one by its name."""
    fetch = ("fetch", "--quiet", "--no-tags", "--force", "--end-of-options", repository)
    ssh = {}
    if "GIT_SSH_COMMAND" not in os.environ and not git(
        host, "config", "core.sshCommand", check=False
    ):
        ssh = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    try:
        git(host, *fetch, commit, **ssh)
    except Stop:
        git(host, *fetch, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", **ssh)
        if not have(host, commit):
            raise Stop(f"fetching: {repository} has no commit {commit}") from None


def submodules(host, commit):
    """Return the folders of a commit that are other repositories; those are not fetched."""
    named = ("config", "--blob", f"{commit}:.gitmodules", "--get-regexp", r"\.path$")
    rows = [row.partition(".path ") for row in git(host, *named, check=False).splitlines()]
    return [path for about, _, path in rows if about.startswith("submodule.")]


def newest(host):
    numbers = [re.match(r"(\d{7})-", name) for name in host.listed("releases")]
    return max([int(found.group(1)) for found in numbers if found] or [0])


def lay_out(host, commit, name):
    """Write the tree of a commit; it gets its name when it is whole."""
    if name == host.current():
        raise Stop(f"laying out {name}: it is live already, with another commit")
    place, temporary = host.root / "releases" / name, host.root / "releases" / f".{name}"
    for old in (place, temporary):
        shutil.rmtree(str(old), ignore_errors=True)
    temporary.mkdir()
    index = host.root / "releases" / f".{name}.index"
    where = {"GIT_WORK_TREE": str(temporary), "GIT_INDEX_FILE": str(index)}
    try:
        git(host, "read-tree", "--reset", "-u", commit, cwd=temporary, **where)
    finally:
        if index.exists():
            index.unlink()
    (temporary / "REVISION").write_text(f"{commit}\n")
    temporary.rename(place)


def take_again(host, commit, name):
    """Give a release that was well here before the name under which it comes back.

    Renamed and not linked: the newest numbers are what `clean` keeps, and it is the newest now. One
    that is live, or that a switch may still go back to, stays as it is; one that a switch was left
    at that nobody could mend comes back.
    """
    begun = host.state().get("switch") or {}
    held = {host.current(), begun.get("from")} - {name}
    place = host.root / "releases"
    names = [name] if (place / name).exists() else sorted(host.listed("releases"), reverse=True)
    for old in names:
        whole = (place / old / ".well").exists() and (place / old / "virtualenv").exists()
        if old in held or not whole or host.revision(old) != commit:
            continue
        if old != name:
            (place / old).rename(place / name)
            git(host, "update-ref", "-d", f"refs/releases/{old}")
        return True
    return False


def make_virtualenv(host, release, place, bound):
    """Build a virtualenv at its own place, since it cannot be moved."""
    shutil.rmtree(str(place), ignore_errors=True)
    wanted = release / host.a["requirements"]
    try:
        said = host.run([host.a["python"], "-m", "venv", place])
        if wanted.exists():
            pip = [place / "bin" / "python", "-m", "pip", "install", "--no-input", "--quiet"]
            pip += ["--disable-pip-version-check", *host.a["pip_options"], "-r", wanted]
            said += host.run(pip, cwd=release)
    except Stop:
        shutil.rmtree(str(place), ignore_errors=True)  # the disk may be full of it
        raise
    if bound:
        (place / ".bound").touch()
    os.sync()  # whoever finds it complete has all of it, also after a crash
    (place / ".complete").touch()
    return said or f"built {place.name}"


def virtualenv_key(host, release):
    """Return the name of the virtualenv that a release needs, and whether it points into it.

    All releases that need the same one share it: of the same requirements, Python and options. One
    with requirements that are folders of the release is for this release alone.
    """
    version = "import sys; print(sys.version_info[:2])"
    python = host.run([host.a["python"], "-c", version])
    text = requirements(release / host.a["requirements"])
    local = LOCAL.findall(text.decode("utf-8", "replace"))
    whole = [python, *host.a["pip_options"], *([release.name] if local else [])]
    key = hashlib.sha256(text + "\0".join(whole).encode()).hexdigest()[:16]
    return key, any(local)


def requirements(path):
    """Return the text of a requirements file, with all that it includes."""
    todo, seen, text = [path], set(), b""
    while todo:
        file = todo.pop().resolve()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        content = file.read_bytes()
        text += content
        included = INCLUDED.findall(content.decode("utf-8", "replace"))
        todo += [file.parent / name for name in included]
    return text


def application_env(host):
    """Return our environment with that of shared/env over it."""
    return dict(os.environ, **environment(host))


def environment(host):
    """Return what shared/env holds."""
    return {name: value for name, value, _, _ in assignments(environment_text(host))}


def environment_text(host):
    file = host.root / "shared" / "env"
    return file.read_bytes().decode("utf-8", "surrogateescape") if file.exists() else ""


def keep_environment(host, name, value):
    """Write one key of shared/env, in one instant; all else in it stays as it is, byte by byte."""
    text = environment_text(host)
    spans = [(start, end) for key, _, start, end in assignments(text) if key == name]
    at = spans[0][0] if spans else len(text)
    for start, end in reversed(spans):
        text = text[:start] + text[end:]
    if value is not None:
        before = text[:at] if text[:at].endswith("\n") or not text[:at] else text[:at] + "\n"
        text = before + assignment(name, value) + text[at:]
    folder = host.root / "shared"
    folder.mkdir(exist_ok=True)
    temporary = folder / ".env.new"
    if temporary.exists():
        temporary.unlink()
    only_we = os.open(str(temporary), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(only_we, "wb") as new:
        new.write(text.encode("utf-8", "surrogateescape"))
        new.flush()
        os.fsync(new.fileno())
    temporary.rename(folder / "env")


def assignment(name, value):
    """Return the line, or lines, that systemd, a shell and we read as the very same bytes."""
    quoted = re.sub(r'(["\\$`])', r"\\\1", value)
    return f'{name}="{quoted}"\n'


def assignments(text):
    """Yield name, value, start and end of every assignment, read as systemd's EnvironmentFile is.

    KEY=value to the end of the line; KEY="…" over several lines, with \\ before ", \\, $ and `;
    KEY='…' as it stands. Lines of any other kind mean nothing.
    """
    at = 0
    while at < len(text):
        found = ASSIGNED.match(text, at)
        if found:
            value, end = read_value(text, found.end())
            yield found.group(1), value, at, end
        else:
            end = text.find("\n", at) + 1 or len(text)
        at = end


def read_value(text, at):
    """Return the value that begins somewhere, and where the line after it begins."""
    line = text.find("\n", at) + 1 or len(text)
    if text[at : at + 1] in ("'", '"'):
        pattern = r"'([^']*)'" if text[at] == "'" else r'"((?:[^"\\]|\\.)*)"'
        quoted = re.compile(pattern + r"[ \t]*(?:\n|\Z)", re.DOTALL).match(text, at)
        if quoted and text[at] == "'":
            return quoted.group(1), quoted.end()
        if quoted:
            return re.sub(r'\\(["\\$`])|\\\n', r"\1", quoted.group(1)), quoted.end()
    return text[at:line].strip(), line


def hide(text, instead):
    """Have a value, and whatever programs make of it when they print it, kept out of all output."""
    if not text:
        return
    forms = {text, repr(text)[1:-1], json.dumps(text)[1:-1], shlex.quote(text), *text.splitlines()}
    HIDDEN.update({form: instead for form in forms if len(form) >= 6})


def hide_environment(host):
    """Keep the application's own values out of all output; one it cannot read it does not print."""
    try:
        values = environment(host)
    except OSError:
        return
    for name in values:
        if not name.endswith("_MODULE"):
            hide(values[name], f"[{name}]")


def link(to, place):
    """Point a link somewhere else, in one instant."""
    temporary = place.with_name(f"{place.name}.new")
    if temporary.is_symlink():
        temporary.unlink()
    temporary.symlink_to(to)
    temporary.rename(place)


def order(of, epoch, turn):
    """Return what is compared between operations: the number, and whose turn it is within it."""
    return int(of.get(epoch) or 0), int(of.get(turn) or 0)


def somebody_listens():
    """Tell whether anybody still reads our answer: a run that was ended leaves nobody there."""
    poll = select.poll()
    poll.register(1, 0)
    return not any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def tree(pid):
    """Return a process and all that descend from it."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.parent.name)] = int(fields[1])
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found


def signal_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            pass


def end_tree(child):
    """End a program of ours with all that it started; kill what does not end in ten seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        signal_all(tree(child.pid), number)
        try:
            child.wait(10)
            return
        except subprocess.TimeoutExpired:
            pass


def cleaned(text):
    for secret in sorted(HIDDEN, key=len, reverse=True):
        text = text.replace(secret, HIDDEN[secret])
    return CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def tail(text):
    lines = [line[:500] for line in cleaned(text).rstrip().splitlines()]
    return "\n".join(lines[-TAIL:])


def first(text):
    return next((line.strip()[:200] for line in cleaned(text).splitlines() if line.strip()), "")


def last(text):
    return first("\n".join(reversed(text.splitlines()))) or "no output"


def short(release):
    number, _, commit = release.partition("-")
    return f"{commit[:7]} (release {int(number)})" if number.isdigit() else release


def answer(arguments):
    """Take one step, and return what Ansible is told."""
    if arguments.get("_ansible_check_mode"):
        return {"skipped": True, "msg": "a step cannot be tried without doing it"}
    steps = Steps(arguments)
    try:
        steps.host.take()
        hide_environment(steps.host)
        told = dict({"changed": False}, **getattr(steps, arguments["step"])())
    except Stop as stop:
        return {"failed": True, "msg": str(stop), "output": tail(stop.output)}
    except OSError as error:
        text = f"{error.filename or arguments['step']}: {error.strerror or error}"
        return {"failed": True, "msg": text, "output": ""}
    if arguments.get("say"):  # no balancer tells it after us
        told.update(packlead_say=told["said"], packlead_ok=arguments["step"] != "back")
    return dict(told, output=tail(told["output"]))


if __name__ == "__main__":
    try:
        os.setsid()  # so that whoever mends this host can end us with all that we started
    except PermissionError:
        pass
    os.umask(0o022)
    print(json.dumps(answer(json.loads(ARGUMENTS))))
