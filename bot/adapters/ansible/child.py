"""The process that runs Ansible: what Ansible tells goes out as JSON lines, and nothing else.

    python child.py PLAYBOOK FOLDER INVENTORY VARIABLES FORKS [TAGS]

Started detached, by its path: it needs nothing of the bot's, and is there at once.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOLD = {"msg", "output", "said", "packlead_say", "packlead_ok", "stdout", "stderr", "module_stdout",
        "module_stderr", "unreachable", "skipped", "exception"}  # fmt: skip
LIMIT = 8000  # characters of one text
IDENT = "run"  # of what ansible-runner writes


def main(
    playbook: str, folder: str, inventory: str, variables: str, forks: str, tags: str = ""
) -> int:
    """Run the playbook; return ansible-playbook's own exit code."""
    out = Out(os.dup(1))
    os.dup2(2, 1)  # whatever else prints something does not reach the events

    def handle(event: dict[str, Any]) -> bool:
        line = json.dumps(brief(event), separators=(",", ":"))
        out.say(line.encode() + b"\n")
        return False  # and so no file is written for it

    import ansible_runner  # here, since the bot only wants to know where this file is

    try:
        with unnamed_environment(Path(folder)):
            ended = ansible_runner.run(
                private_data_dir=folder, ident=IDENT, playbook=playbook, inventory=inventory,
                extravars=variables, suppress_env_files=True, quiet=True, forks=int(forks),
                event_handler=handle, settings={"pexpect_timeout": 1},
                cancel_callback=lambda: False, tags=tags or None,
            )  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # the bot may not be there to do it
        out.end()
    return int(ended.rc)


@contextlib.contextmanager
def unnamed_environment(folder: Path) -> Iterator[None]:
    """Have ansible-runner write what it starts, with its whole environment, into a file that has no
    name and so no reader: the credentials of AWS are in it."""
    made = folder / "artifacts" / IDENT
    made.mkdir(mode=0o700, parents=True)
    with tempfile.TemporaryFile(dir=folder) as unnamed:
        (made / "command").symlink_to(f"/dev/fd/{unnamed.fileno()}")
        yield


class Out:
    """The way out. Where its disk is full the playbook goes on, and what it told comes later."""

    def __init__(self, file: int) -> None:
        self._file, self._left = file, bytearray()

    def say(self, line: bytes) -> None:
        self._left += line
        try:
            while self._left:
                del self._left[: os.write(self._file, self._left)]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise

    def end(self) -> None:
        """Wait until all of it is out."""
        self.say(b"")
        while self._left:
            time.sleep(0.5)
            self.say(b"")


def brief(event: dict[str, Any]) -> dict[str, Any]:
    """Return what of an event is worth a line."""
    data = event.get("event_data") or {}
    result = data.get("res") or {}
    line = {
        "at": round(time.time(), 3),
        "event": event.get("event", ""),
        "play": data.get("play", ""),
        "task": str(data.get("task", "")).rpartition(" : ")[2],
        "host": data.get("host", ""),
        "ignored": bool(data.get("ignore_errors")),
        "result": {k: _cut(v) for k, v in result.items() if k in TOLD and v not in ("", None)},
    }
    if not data.get("host") and event.get("stdout"):
        line["text"] = _cut(event["stdout"])  # an error that belongs to no host
    if event.get("event") == "playbook_on_stats":
        line["ok"] = sorted(data.get("processed", {}))
        line["failed"] = sorted({*data.get("failures", {}), *data.get("dark", {})})
    return {key: value for key, value in line.items() if value not in ("", False, {})}


def _cut(value: Any) -> Any:
    return value[-LIMIT:] if isinstance(value, str) else value


def run_apart(arguments: list[str]) -> int:
    """Run outside the main thread, where ansible-runner would take SIGTERM for itself for good."""
    code: list[int] = [1]
    work = threading.Thread(target=lambda: code.append(main(*arguments)), daemon=True)
    work.start()
    work.join()
    return code[-1]


if __name__ == "__main__":
    sys.exit(run_apart(sys.argv[1:]))
