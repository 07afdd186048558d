"""A child process on a leash: it ends with this one, however this one ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LEASH = [sys.executable, "-I", "-S", str(Path(__file__).with_name("leash.py"))]
KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")


class Leashed:
    """Programs that run together: when one ends, all do."""

    def __init__(
        self, *programs: Sequence[str | Path], before: Sequence[str | Path] = (),
        options: Sequence[str] = (), log: Path, fds: Sequence[int] = (),
    ) -> None:  # fmt: skip
        """`before` is what the leash itself is run by, such as unshare."""
        words: list[str] = []
        for program in programs:
            words += [*(["--"] if words else []), *map(str, program)]
        self.log = log
        # Whatever secrets stand in the lab's environment are none of its hosts' business.
        env = {k: v for k, v in os.environ.items() if k in KEPT}
        env["PATH"] = env.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [*map(str, before), *LEASH, *options, *words], stdin=subprocess.PIPE, stdout=out,
                stderr=out, env=env, pass_fds=fds, start_new_session=True,
            )  # fmt: skip

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """End the programs at once, without asking them."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
