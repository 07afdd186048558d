"""The sample application's virtualenv: built once a machine, kept in .lab/, copied to the hosts.

    .lab/app-<key>/virtualenv   the template; its copies work from any place, by `bin/python -m`
    .lab/app-<key>/wheels       what `pip install --no-index --find-links` needs to make it again

The key stands for the requirements and the Python; a folder that is there is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

APP = Path(__file__).resolve().parent / "app"
CACHE = Path(__file__).resolve().parents[2] / ".lab"
FORMAT = "1"  # counted up when the folder is built in another way


@dataclass(frozen=True)
class Template:
    """A virtualenv to copy, and the wheels that it was made of."""

    virtualenv: Path
    wheels: Path
    python: str  # the interpreter that made it


def template(cache: Path = CACHE) -> Template:
    """Return the template for this Python, made now if this machine has none."""
    python = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    requirements = APP / "requirements.txt"
    folder = cache / f"app-{_key(requirements, python)}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / "lock"):
            if not folder.is_dir():
                _build(folder, requirements, python)
    return Template(folder / "virtualenv", folder / "wheels", python)


def _key(requirements: Path, python: str) -> str:
    about = [FORMAT, python, sys.version, requirements.read_text()]
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go of by the kernel, however this process ends
        yield


def _build(folder: Path, requirements: Path, python: str) -> None:
    """Build beside the final place and rename: what is killed half-way counts for nothing."""
    for left in folder.parent.glob("building-*"):  # we hold the lock: nobody builds there any more
        shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix="building-", dir=folder.parent))
    print("building the sample application's virtualenv, once a machine", file=sys.stderr)
    pip: list[str | Path] = [
        work / "virtualenv/bin/python",
        "-m",
        "pip",
        "--disable-pip-version-check",
    ]
    needed: list[str | Path] = ["-r", requirements]
    wheels = work / "wheels"
    try:
        _run([python, "-m", "venv", work / "virtualenv"])
        _run([*pip, "download", "--only-binary", ":all:", "-d", wheels, *needed])
        _run([*pip, "install", "--no-index", "--compile", "--find-links", wheels, *needed])
        work.chmod(0o755)
        work.rename(folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _run(line: Sequence[str | Path]) -> None:
    done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(
            f"building the sample application's virtualenv: {line[1]} {line[2]} ended with "
            f"{done.returncode}\n{(done.stderr or done.stdout)[-2000:]}"
        )
