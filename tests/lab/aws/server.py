"""Aws: the lab's AWS as tests see it. A proxy in a thread here, moto in a process behind it.

with Aws("127.70.3.1", folder) as aws:
    aws.client("ec2").describe_instances()
    aws.fault("RunInstances", "lost")
    assert aws.actions("RunInstances") == 1
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.lab.aws.backend import BASE_IMAGE, Backend
from tests.lab.aws.child import CROWD, SHELF
from tests.lab.aws.faults import Fault, Faults, Match
from tests.lab.aws.following import Callback, Unseen, Watcher
from tests.lab.aws.health import Truth
from tests.lab.aws.images import IMAGE_DELAY
from tests.lab.aws.proxy import Call, Proxy
from tests.lab.aws.wire import Request
from tests.lab.part import Part
from tests.waiting import PATIENCE

REGION = "us-east-1"
ACCOUNT = "123456789012"
KEY = "AKIAPACKLEADLAB00001"
SECRET = "lab-secret-of-nobody-0123456789abcdefghij"


class Aws(Part):
    """AWS on one address, with what it holds in `folder` (a few logs)."""

    base_image = BASE_IMAGE
    region = REGION

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.folder = address, Path(folder)
        self.health: Truth | None = None  # set by the balancer part: it knows who is served
        self.url = ""
        self._watchers: list[Watcher] = []
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        self._proxy: Proxy | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._backend = Backend(self.folder)
        self._backend.start()
        door = socket.create_server((self.address, 0), backlog=512)
        self.url = f"http://{self.address}:{door.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="aws", daemon=True)
        self._thread.start()
        self._run(self._open(door))

    def stop(self) -> None:
        if not self.url:
            return
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._backend.stop()
        for watcher in self._watchers:
            watcher.end()
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    @property
    def env(self) -> dict[str, str]:
        """The environment with which anything that uses boto3 comes here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, key: str = KEY) -> Any:
        """A boto3 client of this AWS, made once for each service and key.

        With the key PEEK a test looks on unseen: no log, no faults, nothing hidden.
        """
        import boto3  # half a second that not every user of this module has to wait
        from botocore.config import Config

        with self._lock:
            if (service, key) not in self._clients:
                session = boto3.Session(
                    aws_access_key_id=key, aws_secret_access_key=SECRET, region_name=REGION
                )
                config = Config(retries={"mode": "standard"}, max_pool_connections=20, proxies={})
                self._clients[service, key] = session.client(
                    service, endpoint_url=self.url, config=config
                )
            return self._clients[service, key]

    def watch(self, callback: Callback) -> None:
        """Call `callback(action, params, answer)` after each call that succeeded, in order.

        Every watcher has a thread of its own: a slow one holds up neither AWS nor the others.
        """
        self._watchers.append(Watcher(callback))

    def settled(self, seconds: float = PATIENCE) -> bool:
        """Wait until the watchers have seen everything that has happened so far."""
        return all(watcher.settled(seconds) for watcher in self._watchers)

    def unseen(self, ready: Callable[[], Any] = lambda: None) -> Unseen:
        """This AWS for the parts of the lab that follow it: their calls are nobody's business.

        They wait for `ready` to return before the first of them.
        """
        return Unseen(self, ready)

    def crowd(self, subnet: str, tags: list[dict[str, str]]) -> None:
        """Run an instance for each row of tags, quickly and unseen by watchers."""
        made = {"account": ACCOUNT, "region": REGION, "subnet": subnet, "image": BASE_IMAGE}
        body = json.dumps({**made, "tags": tags}).encode()
        self._run(self._backend.send(Request("ec2", CROWD, {}, CROWD, body=body)), 300)

    def shelf(self, rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
        """Make many images, unseen, and return the ids of each and of its snapshot.

        A row has instance, name, tags, created (Unix seconds) and state.
        """
        body = json.dumps({"account": ACCOUNT, "region": REGION, "rows": rows}).encode()
        answer = self._run(self._backend.send(Request("ec2", SHELF, {}, SHELF, body=body)), 300)
        return [(image, snapshot) for image, snapshot in json.loads(answer.body)]

    @property
    def log(self) -> list[Call]:
        """Every call so far, oldest first."""
        return self._here.log

    def actions(self, action: str) -> int:
        """How often an action was called and did something."""
        return sum(call.action == action and call.status < 400 for call in list(self.log))

    @property
    def faults(self) -> Faults:
        return self._here.faults

    def fault(self, match: Match | str, kind: str, times: float = 1, **detail: Any) -> Fault:
        """Set a fault for the next calls that match; see faults.py for the kinds."""
        return self.faults.set(match, kind, times, **detail)

    @property
    def image_delay(self) -> float:
        """Seconds that a new image is pending."""
        return self._here.images.delay

    @image_delay.setter
    def image_delay(self, seconds: float) -> None:
        self._here.images.delay = seconds

    def calm(self) -> None:
        """Forget the log and all faults, and be as at the start; who has joined is taken in."""
        self.log.clear()
        self.faults.clear()
        self.fail_images(0)
        self.leave_snapshots(0)
        self._here.targets.joined.clear()
        self._here.classic.joined.clear()
        self.capacity, self.consistency, self.image_delay = None, 0.0, IMAGE_DELAY

    def fail_images(self, times: int = 1) -> None:
        """Let the next images fail instead of becoming available."""
        self._here.images.failing = times

    def leave_snapshots(self, times: int = 1) -> None:
        """Let the next images that are deregistered leave their snapshots behind."""
        self._here.images.leaving = times

    @property
    def capacity(self) -> int | None:
        """How many instances AWS can still launch; None: as many as there are addresses."""
        return self._here.launches.capacity

    @capacity.setter
    def capacity(self, count: int | None) -> None:
        self._here.launches.capacity = count

    @property
    def consistency(self) -> float:
        """Seconds for which new instances and images are not found."""
        return self._here.consistency.delay

    @consistency.setter
    def consistency(self, seconds: float) -> None:
        self._here.consistency.delay = seconds

    @property
    def subnet(self) -> str:
        """The subnet of instances that are launched without one."""
        return self._here.launches.subnet

    @subnet.setter
    def subnet(self, id: str) -> None:
        self._here.launches.subnet = id

    @property
    def _here(self) -> Proxy:
        if self._proxy is None:
            raise RuntimeError("the lab's AWS is not started")
        return self._proxy

    async def _open(self, door: socket.socket) -> None:
        await self._backend.connect()
        self._proxy = Proxy(self._backend, lambda: self.health, self._told)
        self._runner = web.ServerRunner(web.Server(self._proxy.handle), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.SockSite(self._runner, door).start()

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._backend.disconnect()

    def _run(self, work: Any, seconds: float = PATIENCE) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def _told(self, action: str, params: dict[str, str], answer: bytes) -> None:
        for watcher in self._watchers:
            watcher.queue.put((action, params, answer))
