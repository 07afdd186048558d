"""A connection to a host that is simulated: what a step would answer comes from tests.bench.hosts.

Nothing of a module is run. Ansible sends the whole of ours to an interpreter's standard input; its
arguments, which say the host and the step, are read out of it and handed to the fleet in memory.
"""

from __future__ import annotations

import json
import re
import socket
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: memory
short_description: hosts that answer from memory
description: For benchmarks.
author: Packlead
options:
  socket:
    description: where the fleet in memory listens
    type: str
    required: true
    vars:
      - name: memory_socket
"""
ARGUMENTS = re.compile(rb'^ARGUMENTS = r"""(.*?)"""', re.MULTILINE | re.DOTALL)


class Connection(ConnectionBase):  # type: ignore[misc]
    """What Ansible asks of a connection; only modules that come through a pipe are understood."""

    transport = "memory"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int, bytes, bytes]:
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        found = ARGUMENTS.search(in_data or b"")
        if not found:
            raise AnsibleConnectionFailure(f"a host in memory does not understand: {cmd[:200]}")
        return 0, self._asked(found[1]), b""

    def _asked(self, arguments: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as fleet:
            fleet.connect(self.get_option("socket"))
            fleet.sendall(json.dumps(json.loads(arguments)).encode() + b"\n")
            return fleet.makefile("rb").readline()

    def put_file(self, in_path: Any, out_path: Any) -> None:
        raise AnsibleConnectionFailure("a host in memory takes no files")

    def fetch_file(self, in_path: Any, out_path: Any) -> None:
        raise AnsibleConnectionFailure("a host in memory has no files")

    def close(self) -> None:
        self._connected = False
