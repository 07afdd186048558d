"""What this machine can do for a lab, and what the lab says where it cannot.

LAB_WITHOUT=root,sshd,haproxy,postgres (any of them) makes it do as if these were not there.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
UNSHARE = ("unshare", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child")


@dataclass(frozen=True)
class Machine:
    """`sshd` and `haproxy` are paths, `postgres` a folder of programs; empty: there is none."""

    namespaces: bool
    sshd: str
    haproxy: str
    postgres: str

    def sentences(self) -> tuple[str, ...]:
        """Say what is done otherwise here than with everything at hand."""
        told = []
        if not self.namespaces:
            told.append("no namespaces here: each host is a folder, not a file system of its own")
        if not self.sshd:
            told.append("no sshd here: playbooks run on this machine, one folder a host")
        if not self.haproxy:
            told.append("no haproxy here: a small reverse proxy in Python stands in for it")
        return tuple(told)


def look() -> Machine:
    """Look what is there, less what LAB_WITHOUT names."""
    without = {w.strip() for w in os.environ.get("LAB_WITHOUT", "").split(",") if w.strip()}
    if wrong := without - {"root", "sshd", "haproxy", "postgres"}:
        named = ", ".join(sorted(wrong))
        raise ValueError(f"LAB_WITHOUT names {named}: it knows root, sshd, haproxy, postgres")

    def found(program: str) -> str:
        return "" if program in without else shutil.which(program, path=PATH) or ""

    root = os.geteuid() == 0 and "root" not in without
    postgres = "" if "postgres" in without else _postgres()
    return Machine(root and _namespaces(), found("sshd"), found("haproxy"), postgres)


def _postgres() -> str:
    """Debian keeps each version in a folder of its own, and none of their servers in the PATH."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda file: float(file.parts[-3]), default=None)
    initdb = str(newest) if newest else shutil.which("initdb", path=PATH)
    return str(Path(initdb).resolve().parent) if initdb else ""


@functools.cache
def _namespaces() -> bool:
    """Containers often run as root, yet may not unshare or mount: try it."""
    if not shutil.which("unshare"):
        return False
    test = "mount -t tmpfs tmpfs /run && mount --bind /run /srv"
    done = subprocess.run([*UNSHARE, "sh", "-c", test], capture_output=True)
    return done.returncode == 0 and Path("/srv").is_dir()
