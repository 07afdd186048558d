"""One host: an instance's address, its /srv, an sshd, a supervisord that runs the application."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.hosts.ssh import Ssh
from tests.lab.leashed import Leashed
from tests.lab.machine import UNSHARE, Machine
from tests.waiting import PATIENCE

PORT = 8000
CONFIG = """\
[unix_http_server]
file={srv}/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{srv}/supervisor.sock

[supervisord]
nodaemon=true
silent=true
{user}logfile={srv}/log/supervisord.log
pidfile={srv}/supervisord.pid
childlogdir={srv}/log
identifier={name}
"""
# startsecs=0: whether it runs is for the health check to say; waiting a second says no more.
# exitcodes: what cannot start stays down and can be looked at, what crashes later comes back.
PROGRAM = """
[program:{program}]
command={srv}/app/current/virtualenv/bin/python -m {command}
directory={srv}/app/current
environment=HOST="{name}",PYTHONUNBUFFERED="1"
autorestart=unexpected
exitcodes={exitcodes}
startsecs=0
stopsignal=TERM
stopwaitsecs=40
killasgroup=true
redirect_stderr=true
stdout_logfile={srv}/log/{program}.log
stdout_logfile_maxbytes=1MB
"""
WEB = (
    "gunicorn project.wsgi --bind {address}:{port} --worker-class gthread --workers 1 --threads 8"
    " --graceful-timeout 30 --keep-alive 75 --no-control-socket"
)
CELERY = (
    "celery -A project worker --pool solo --loglevel INFO"
    " --without-gossip --without-mingle --without-heartbeat"
)
SERVICES = {"web": ("web", WEB, "0,3,4"), "celery": ("celery", CELERY, "0,1,2")}
LATER = ["sh", "-c", 'sleep "$1"; shift; exec "$@"', "sh"]
INSIDE = """
mount --bind "$1" /srv
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd
shift
exec "$@"
"""


@dataclass
class Host:
    """`folder` holds srv, the host's disk, and what the host does not see: sshd's config, logs."""

    name: str
    type: str
    address: str
    folder: Path
    machine: Machine
    ssh: Ssh | None
    instance: str = ""
    _leash: Leashed | None = field(default=None, repr=False)

    @property
    def srv(self) -> Path:
        """The host's disk, as seen from outside."""
        return self.folder / "srv"

    @property
    def inner(self) -> Path:
        """The same as processes on the host see it."""
        return Path("/srv") if self.machine.namespaces else self.srv

    @property
    def alive(self) -> bool:
        return bool(self._leash and self._leash.alive)

    @property
    def pid(self) -> int:
        """The process that holds all others of this host, as seen from outside."""
        return self._leash.pid if self._leash else 0

    def start(self, closed: float = 0.0) -> None:
        """Start its processes, sshd after `closed` seconds; `wait` says when it is of use."""
        log = self.srv / "log"
        shutil.rmtree(log, ignore_errors=True)
        log.mkdir()
        for left in ("supervisor.sock", "supervisord.pid"):
            (self.srv / left).unlink(missing_ok=True)
        (self.srv / "supervisord.conf").write_text(self._config())
        supervisord = [sys.executable, "-m", "supervisor.supervisord", "-c"]
        programs = [[*supervisord, str(self.inner / "supervisord.conf")]]
        if self.ssh:
            server = self.ssh.server(self.machine.sshd, self.address, self.folder)
            programs.append([*LATER, f"{closed:.2f}", *server] if closed > 0 else server)
        before: list[str | Path] = []
        options: list[str] = []
        if self.machine.namespaces:
            before = [*UNSHARE, "sh", "-ec", INSIDE, "sh", self.srv]
            options = ["--hostname", self.name]
        self._leash = Leashed(*programs, before=before, options=options, log=self.folder / "log")

    def stop(self) -> None:
        """End it as a cut cable would."""
        if self._leash:
            self._leash.stop()

    def wait(self, seconds: float = PATIENCE) -> None:
        """Wait until supervisord listens, ssh greets and, on a web host, /healthz is well."""
        checks: list[Callable[[], bool]] = [self._supervised]
        checks += [self._greets] if self.ssh else []
        checks += [self._healthy] if self.type == "web" else []
        end = time.monotonic() + seconds
        while checks:
            if checks[0]():
                checks.pop(0)
            elif not self.alive:
                raise RuntimeError(f"starting {self.name}: it ended\n{self.tail()}")
            elif time.monotonic() > end:
                what = f"after {seconds:g} s not yet {checks[0].__name__.strip('_')}"
                raise RuntimeError(f"starting {self.name}: {what}\n{self.tail()}")
            else:
                time.sleep(0.05)

    def tail(self, lines: int = 40) -> str:
        """Return the ends of its logs."""
        told = []
        outside = [self.folder / "log", self.folder / "sshd.log"]
        for file in [*outside, *sorted(self.srv.glob("log/*"))]:
            with contextlib.suppress(OSError):
                text = file.read_text(errors="replace").splitlines()[-lines:]
                told += [f"--- {self.name} {file.name}", *text] if text else []
        return "\n".join(told)

    def _config(self) -> str:
        user = "user=root\n" if self.ssh is not None and self.ssh.user == "root" else ""
        about = {"srv": self.inner, "name": self.name, "user": user}
        text = CONFIG.format(**about)
        if self.type in SERVICES:
            program, command, exitcodes = SERVICES[self.type]
            command = command.format(address=self.address, port=PORT)
            text += PROGRAM.format(**about, program=program, command=command, exitcodes=exitcodes)
        return text

    def _supervised(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self.srv / "supervisor.sock")) == 0

    def _greets(self) -> bool:
        assert self.ssh
        try:
            with socket.create_connection((self.address, self.ssh.port), 2) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection(self.address, PORT, timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
