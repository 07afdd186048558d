"""A fleet in memory: what each host would answer to a step of ours, and to its health check.

    python -m tests.bench.hosts SOCKET COMMIT FILE      with one address a line

Each host has an address of loopback, and listens there as a real one would.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path
from typing import Any

PORT = 8000
MOST = 4096  # file descriptors: each host has one at least


class Host:
    """One host: the commit that is live, and the newest operation that was here."""

    def __init__(self, commit: str) -> None:
        self.commit, self.fetched, self.epoch = commit, "", 0

    def step(self, a: dict[str, Any]) -> dict[str, Any]:
        """Return what `playbooks/library/release.py` would answer."""
        epoch, step = int(a.get("epoch") or 0), a["step"]
        if 0 < epoch < self.epoch:
            return {"failed": True, "msg": "a newer operation was on this host", "output": ""}
        self.epoch = max(epoch, self.epoch)
        told: dict[str, Any] = {"changed": False, "said": "", "output": "from memory"}
        if step == "fetch":
            self.fetched = a["commit"]
            told |= {"release": f"{int(a['release']):07d}-{a['commit'][:12]}", "ready": False}
        elif step == "switch":
            if not self.fetched.startswith(str(a["release"]).partition("-")[2]):
                return {"failed": True, "msg": f"{a['release']} is not here", "output": ""}
            self.commit = self.fetched
            told |= {"changed": True, "well": False}
        elif step == "health":
            told["said"] = a.get("say", "")
        if a.get("say"):
            told |= {"packlead_say": told["said"], "packlead_ok": True}
        return told


async def serve(place: str, commit: str, addresses: list[str]) -> None:
    """Answer until ended."""
    hosts = {address: Host(commit) for address in addresses}

    async def steps(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.readline())
        writer.write(json.dumps(hosts[asked["address"]].step(asked)).encode() + b"\n")
        writer.close()

    async def health(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        commit = hosts[writer.get_extra_info("sockname")[0]].commit
        head = f"HTTP/1.1 200 OK\r\nX-Commit: {commit}\r\nContent-Length: 2\r\nConnection: close"
        writer.write(f"{head}\r\n\r\nok".encode())
        writer.close()

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(MOST, most), most))
    async with (
        await asyncio.start_unix_server(steps, place, limit=2**20),
        await asyncio.start_server(health, addresses, PORT),
    ):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_text().split()))
