"""Where this release lies on its host, which commit it is, and the environment it was given.

ROOT/releases/0000007-0123456789ab/project/place.py     what is shared is in ROOT/shared
"""

import os
import re
from pathlib import Path

RELEASE = Path(__file__).resolve().parent.parent
ROOT = RELEASE.parent.parent if RELEASE.parent.name == "releases" else RELEASE
SHARED = ROOT / "shared"

LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


def commit() -> str:
    """Return the commit that was checked out here, as the file REVISION tells it."""
    try:
        return (RELEASE / "REVISION").read_text().strip()
    except FileNotFoundError:
        return ""


def load_environment() -> None:
    """Put the lines KEY=value of ROOT/shared/env into the environment."""
    try:
        # Bytes that are no UTF-8 come through, as they do in any process's environment.
        text = (SHARED / "env").read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return
    for line in text.split("\n"):
        if found := LINE.fullmatch(line):
            os.environ[found[1]] = _unquoted(found[2])


def _unquoted(value: str) -> str:
    """Return what stands between double quotes, with \\n, \\" and \\\\ resolved; else the value."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    meant = {"n": "\n", "r": "\r"}
    return re.sub(r"\\(.)", lambda m: meant.get(m[1], m[1]), value[1:-1])
