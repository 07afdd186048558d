"""The key of this house: what only those who hold it can read, and cannot be written by others.

It is PACKLEAD_KEY, or on one machine a file beside the database, made at first need. Nobody uses it
as it is: each purpose has a key of its own that follows from it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from bot.errors import Misconfigured

VARIABLE = "PACKLEAD_KEY"
FILE = "key"
SHORTEST = 32  # characters
MAKE = 'python3 -c "import secrets; print(secrets.token_urlsafe(48))"'


def key(data: Path, environ: Mapping[str, str], alone: bool) -> bytes:
    """Return the key; `alone` says that this machine is the only one. Raises Misconfigured."""
    if told := environ.get(VARIABLE, "").strip():
        if len(told) < SHORTEST:
            raise Misconfigured(
                f"{VARIABLE} has {len(told)} characters, {SHORTEST} is the least",
                f"make one with: {MAKE}",
            )
        return told.encode()
    if not alone:
        raise Misconfigured(
            f"{VARIABLE} is not set: on Postgres every process needs the same one",
            f"make one with: {MAKE}",
        )
    file = data / FILE
    try:
        return _read(file) or _made(file)
    except OSError as error:
        raise Misconfigured(f"reading {file}: {error.strerror}", f"or set {VARIABLE}") from None


def derived(key: bytes, purpose: str) -> bytes:
    """Return the key of one purpose, 32 bytes."""
    return hmac.new(key, purpose.encode(), hashlib.sha256).digest()


def _read(file: Path) -> bytes:
    try:
        found = file.read_bytes().strip()
    except FileNotFoundError:
        return b""
    mode = file.stat().st_mode & 0o077
    if mode:
        raise Misconfigured(f"{file} can be read by others", f"chmod 600 {file}")
    if len(found) < SHORTEST:
        raise Misconfigured(f"{file} is cut short", f"put it back from a backup, or set {VARIABLE}")
    return found


def _made(file: Path) -> bytes:
    """Make the file: whole from its first moment on, and of two that try the first one's stays."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f".{FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
        made.write(f"{secrets.token_urlsafe(48)}\n".encode())
        made.flush()
        os.fsync(made.fileno())
    try:
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    return _read(file)
