"""Room on the disk of our own data: what begins needs some left for its end.

A database that is full cannot even say so; hence nothing is begun when little is left.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from bot.errors import Refused

LEAST = 32_000_000  # bytes: what runs tells a megabyte or two, and the database's log of changes


def heed(folder: Path) -> None:
    """Raise Refused where too little is left to begin anything."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # not there yet: whoever makes it will see
    if free < LEAST:
        raise Refused(
            f"the disk with Packlead's own data has {free // 1_000_000} MB left: "
            "nothing is begun any more, what runs goes on",
            f"have somebody make room for {folder}, then say it again",
        )
