"""The way to moto: starts its process, sends it one call after another, reads the answers."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.lab.aws import child
from tests.lab.aws.child import LENGTH
from tests.lab.aws.wire import Answer, Refusal, Request, error_code, ours

BASE_IMAGE = "ami-0b5a1c0de0b5a1c0d"
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class Backend:
    """moto; everything but start() and stop() is for the proxy's event loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.waiting: deque[asyncio.Future[Answer]] = deque()

    def start(self) -> None:
        """Start the process; the first calls simply wait until it is ready."""
        images = self.folder / "images.json"
        images.write_text(json.dumps([_base_image()]))
        self.line, theirs = socket.socketpair()
        with theirs, (self.folder / "moto.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", child.__file__],
                stdin=theirs.fileno(),
                stdout=log,
                stderr=log,
                env={**os.environ, "MOTO_AMIS_PATH": str(images)},
                start_new_session=True,  # a Ctrl-C in the terminal is for the lab, not for it
            )

    def stop(self) -> None:
        self.line.close()
        self.process.kill()  # it keeps nothing
        self.process.wait()

    async def connect(self) -> None:
        self.source, self.sink = await asyncio.open_connection(sock=self.line)
        self.reader = asyncio.create_task(self._read())

    async def disconnect(self) -> None:
        self.reader.cancel()
        self.sink.close()

    async def send(self, request: Request, **hints: Any) -> Answer:
        """Give a request to moto as it is; hints are for our changes in its process."""
        if self.reader.done():
            raise Refusal("InternalError", f"moto ended: {self._last_words()}", 500)
        frame = (request.method, request.path, request.headers, request.body, hints)
        data = pickle.dumps(frame)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting.append(answer)
        self.sink.write(LENGTH.pack(len(data)) + data)
        return await answer

    async def ask(self, service: str, action: str, **params: str) -> ElementTree.Element:
        """Ask for something the lab wants to know; raises Refusal as AWS would tell it."""
        return await self.ask_with(service, action, params)

    async def ask_with(
        self, service: str, action: str, params: dict[str, str]
    ) -> ElementTree.Element:
        answer = await self.send(ours(service, action, params))
        if answer.ok:
            return answer.tree()
        code = error_code(answer) or "InternalError"
        message = answer.tree().findtext(".//Message") if code in answer.body.decode() else ""
        raise Refusal(code, message or answer.body.decode()[:500], answer.status)

    async def _read(self) -> None:
        try:
            while True:
                length = LENGTH.unpack(await self.source.readexactly(LENGTH.size))[0]
                status, headers, body = pickle.loads(await self.source.readexactly(length))
                waiting = self.waiting.popleft()
                if not waiting.done():  # its client may have gone
                    waiting.set_result(Answer(status, body, tuple(_passed(headers))))
        except (asyncio.IncompleteReadError, OSError):
            error = Refusal("InternalError", f"moto ended: {self._last_words()}", 500)
            for answer in self.waiting:
                if not answer.done():
                    answer.set_exception(error)

    def _last_words(self) -> str:
        return (self.folder / "moto.log").read_text(errors="replace")[-2000:].strip()


def _passed(headers: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return ((k, v) for k, v in headers if k.lower() not in HOP)


def _base_image() -> dict[str, Any]:
    return {
        "ami_id": BASE_IMAGE,
        "name": "debian-12-amd64",
        "description": "Debian 12",
        "owner_id": "136693071363",
        "public": True,
        "virtualization_type": "hvm",
        "architecture": "x86_64",
        "state": "available",
        "creation_date": "2026-01-05T00:00:00.000Z",
        "platform": None,
        "image_type": "machine",
        "hypervisor": "xen",
        "root_device_type": "ebs",
        "root_device_name": "/dev/sda1",
        "sriov": "simple",
    }
