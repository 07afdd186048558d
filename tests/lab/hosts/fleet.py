"""All hosts of a lab: booted for the running instances, following what AWS is asked to do.

RunInstances boots a host from the image's disk, CreateImage keeps a copy of the instance's disk,
TerminateInstances ends it; StopInstances and StartInstances do as they say.
"""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from tests.lab import machine, wheels
from tests.lab.git import Git
from tests.lab.hosts import disk, ssh
from tests.lab.hosts.host import Host
from tests.lab.hosts.instances import Instance, running

SOCKET_PATH = 107  # bytes that Linux allows for the path of a unix socket
LONGEST = "hosts/puppystreamweb99/srv/supervisor.sock.4194304"


class Aws(Protocol):
    """What hosts need of the lab's AWS."""

    def client(self, service: str) -> Any: ...

    def watch(self, callback: Any) -> None: ...


class Hosts:
    """`boot_seconds` pass from a launch until one can log in, however busy the machine is."""

    def __init__(self, aws: Aws, folder: Path, address_range: str, app: Git) -> None:
        self.machine = machine.look()
        self.boot_seconds = 0.0
        self.template: wheels.Template
        self.ssh: ssh.Ssh | None = None
        self._aws, self._git = aws, app
        self._folder, self._range = folder, address_range
        self._hosts: dict[str, Host] = {}  # by instance
        self._leaving: set[str] = set()  # folders of hosts that are not quite gone
        self._images: dict[str, Future[None]] = {}
        self._lock = threading.RLock()
        self._work = ThreadPoolExecutor(12, "hosts")
        self._going: set[Future[Any]] = set()
        self._stopped = False

    @property
    def addresses(self) -> dict[str, str]:
        """The hosts that run, by name."""
        with self._lock:
            return {h.name: h.address for h in self._hosts.values() if h.alive}

    @property
    def app_root(self) -> str:
        """The application's root; without namespaces Jinja tells the hosts' apart."""
        return f"{self._srv}/app"

    @property
    def supervisorctl(self) -> str:
        """The words that call supervisorctl on a host."""
        return f"{sys.executable} -m supervisor.supervisorctl -c {self._srv}/supervisord.conf"

    @property
    def variables(self) -> dict[str, str]:
        """What belongs below [ansible.vars] in the lab's config."""
        return {"supervisorctl": self.supervisorctl, "ansible_python_interpreter": sys.executable}

    @property
    def wheels(self) -> Path:
        """Where `pip install --no-index --find-links` finds what the application requires."""
        return self.template.wheels

    @property
    def python(self) -> str:
        """The interpreter that makes virtualenvs on the hosts."""
        return self.template.python

    @property
    def _srv(self) -> str:
        if self.machine.namespaces:
            return "/srv"
        return f"{self._folder}/hosts/{{{{ inventory_hostname }}}}/srv"

    def start(self) -> None:
        """Boot a host for each running instance and wait until all are of use."""
        self._check_folder()
        self.template = wheels.template()
        self._git.create()
        for old in ("seed", "hosts", "images"):  # of an earlier lab in this folder
            shutil.rmtree(self._folder / old, ignore_errors=True)
        if self.machine.sshd:
            self.ssh = ssh.make(self._folder / "ssh", self._range, own_run=self.machine.namespaces)
        disk.seed(self._folder / "seed", self._git, self.template)
        self._aws.watch(self._follow)
        started = [self._begin(self._boot, one) for one in running(self._aws)]
        for each in started:
            each.result()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            hosts = list(self._hosts.values())
        for host in hosts:
            host.stop()
        self._work.shutdown(wait=True, cancel_futures=True)

    def host(self, name: str) -> Host:
        """Return a host by its name."""
        with self._lock:
            for host in self._hosts.values():
                if host.name == name:
                    return host
        raise KeyError(f"there is no host {name}")

    def log(self, name: str) -> str:
        """Return the ends of a host's logs."""
        return self.host(name).tail()

    def stop_host(self, name: str) -> None:
        """Cut a host's power; its instance still runs, as far as EC2 knows."""
        self.host(name).stop()

    def start_host(self, name: str) -> None:
        """Give it back, with the disk it had."""
        host = self.host(name)
        host.start()
        host.wait()

    def settle(self) -> None:
        """Wait until everything that AWS was asked for is done here; raise what went wrong."""
        while True:
            with self._lock:
                going = list(self._going)
            if not going:
                return
            for each in going:
                try:
                    each.result()
                finally:
                    self._going.discard(each)

    def _check_folder(self) -> None:
        folder = self._folder.resolve()
        if self.machine.namespaces:
            if any(folder.is_relative_to(place) for place in ("/srv", "/run")):
                raise ValueError(
                    f"starting hosts: they have their own /srv and /run, and so not {folder}"
                )
        elif len(str(folder / LONGEST)) > SOCKET_PATH:
            raise ValueError(f"starting hosts: the sockets in {folder} have too long a name")

    def _boot(self, instance: Instance) -> None:
        with self._lock:
            if instance.id in self._hosts or self._stopped:
                return
            taken = {h.folder.name for h in self._hosts.values()} | self._leaving
            name = instance.name if instance.name not in taken else f"{instance.name}-{instance.id}"
            folder = self._folder / "hosts" / name
            place = (instance.address, folder, self.machine, self.ssh)
            host = Host(instance.name, instance.type, *place, instance.id)
            self._hosts[instance.id] = host
        opens = time.monotonic() + self.boot_seconds
        shutil.rmtree(folder, ignore_errors=True)
        source = self._folder / "seed"
        if instance.image in self._images:
            self._images[instance.image].result()
            source = self._folder / "images" / instance.image
        disk.copy(source, host.srv)
        with self._lock:
            if self._stopped or instance.id not in self._hosts:
                return
            host.start(opens - time.monotonic())
        host.wait(30 + self.boot_seconds)

    def _follow(self, action: str, params: dict[str, str], answer: bytes) -> None:
        """Called with each call that AWS granted; answers at once, the work is done elsewhere."""
        if self._stopped:
            return
        ids = [v for k, v in params.items() if re.fullmatch(r"InstanceId(\.\d+)?", k)]
        match action:
            case "RunInstances":
                found = re.findall(rb"<instanceId>(i-\w+)</instanceId>", answer)
                self._begin(self._boot_all, [i.decode() for i in found])
            case "StartInstances":
                self._begin(self._boot_again, ids)
            case "StopInstances" | "TerminateInstances":
                for each in ids:
                    self._begin(self._end, each, action == "TerminateInstances")
            case "CreateImage":
                found = re.findall(rb"<imageId>(ami-\w+)</imageId>", answer)
                for image in found:
                    self._images[image.decode()] = self._begin(self._keep, ids[0], image.decode())
            case "DeregisterImage":
                if self._images.pop(params.get("ImageId", ""), None):
                    shutil.rmtree(self._folder / "images" / params["ImageId"], ignore_errors=True)

    def _boot_all(self, ids: list[str]) -> None:
        for instance in running(self._aws, *ids):
            self._begin(self._boot, instance)

    def _boot_again(self, ids: list[str]) -> None:
        for each in ids:
            if host := self._hosts.get(each):
                host.start()
                host.wait()

    def _end(self, instance: str, forget: bool) -> None:
        with self._lock:  # one that is just booting sees that it is gone
            host = self._hosts.pop(instance, None) if forget else self._hosts.get(instance)
            if host and forget:  # one of the same name may boot before it is gone
                self._leaving.add(host.folder.name)
        if host:
            host.stop()
        if host and forget:
            shutil.rmtree(host.folder, ignore_errors=True)
            self._leaving.discard(host.folder.name)

    def _keep(self, instance: str, image: str) -> None:
        disk.copy(self._hosts[instance].srv, self._folder / "images" / image)

    def _begin(self, work: Any, *args: Any) -> Future[Any]:
        with self._lock:
            future = self._work.submit(work, *args)
            self._going.add(future)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: Future[Any]) -> None:
        if self._stopped or future.cancelled():
            return
        if error := future.exception():
            print(f"lab hosts: {error}", file=sys.stderr)
        else:
            self._going.discard(future)
