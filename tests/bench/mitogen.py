"""Mitogen, fetched for the measurement: Packlead itself does not need it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

from tests.bench.bot import ROOT

VERSION = "0.3.54"
PLACE = ROOT / ".lab" / f"mitogen-{VERSION}"


def fetched() -> Path | None:
    """Return the folder that holds it, or None where it cannot be had; it can be imported then."""
    if not (PLACE / "ansible_mitogen").is_dir():
        words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        words += ["--target", str(PLACE), f"mitogen=={VERSION}"]
        ran = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if ran.returncode:
            print(f"mitogen cannot be had: {ran.stdout.strip()[-500:]}")
            return None
    if str(PLACE) not in sys.path:
        sys.path.append(str(PLACE))
        importlib.invalidate_caches()
    return PLACE
