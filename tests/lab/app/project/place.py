"""Where this release lies on its host, which commit it is, and the environment it was given.

ROOT/releases/0000007-0123456789ab/project/place.py     what is shared is in ROOT/shared
"""

import os
import re
from pathlib import Path

RELEASE = Path(__file__).resolve().parent.parent
ROOT = RELEASE.parent.parent if RELEASE.parent.name == "releases" else RELEASE
SHARED = ROOT / "shared"

KEY = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*(?:\n|\Z)|\'([^\']*)\'[ \t]*(?:\n|\Z)', re.DOTALL)


def commit() -> str:
    """Return the commit that was checked out here, as the file REVISION tells it."""
    try:
        return (RELEASE / "REVISION").read_text().strip()
    except FileNotFoundError:
        return ""


def load_environment() -> None:
    """Put what ROOT/shared/env holds into the environment, as systemd would."""
    try:
        # Bytes that are no UTF-8 come through, as they do in any process's environment.
        text = (SHARED / "env").read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return
    at = 0
    while at < len(text):
        line = text.find("\n", at) + 1 or len(text)
        if not (found := KEY.match(text, at)):
            at = line
        elif quoted := QUOTED.match(text, found.end()):
            plain = re.sub(r'\\(["\\$`])|\\\n', r"\1", quoted[1] or "")
            os.environ[found[1]] = plain or quoted[2] or ""
            at = quoted.end()
        else:
            os.environ[found[1]] = text[found.end() : line].strip()
            at = line
