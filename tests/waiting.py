"""Waiting for what is to come. No test times anything: a busy machine only takes longer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 150.0  # seconds; what has not come by then does not come
GLANCE = 0.05


def until(
    seen: Callable[[], T], what: Callable[[], str] | str = "it comes", seconds: float = PATIENCE
) -> T:
    """Return what `seen` says as soon as it is true; `what` says what is missing."""
    end = time.monotonic() + seconds
    while not (found := seen()):
        if time.monotonic() >= end:
            said = what if isinstance(what, str) else what()
            raise AssertionError(f"waited {seconds:g} s in vain: {said}")
        time.sleep(GLANCE)
    return found


def settled(wrong: Callable[[], Iterable[str]], seconds: float) -> list[str]:
    """Return what is still wrong after so many seconds; nothing as soon as nothing is."""
    end = time.monotonic() + seconds
    while (found := list(wrong())) and time.monotonic() < end:
        time.sleep(0.2)
    return found
