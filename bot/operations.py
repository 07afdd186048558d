"""The record of an operation, as the table holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WAITS = ("waiting", "queued")
LIVE = (*WAITS, "running")
PUSHES = ("github", "deploys")  # fronts where no person waits for an answer; the newest counts


@dataclass(frozen=True)
class Operation:
    """A request that was accepted. `number` is what people call it, and its epoch on the hosts."""

    number: int
    id: str
    line: str
    command: str
    environment: str
    person: str
    front: str
    state: str  # waiting, queued, running, done, failed, cancelled
    created: float  # Unix seconds, as the other times
    audience: Mapping[str, Any] = field(default_factory=dict)
    exclusive: bool = False
    parent: str = ""
    cancelled_by: str = ""
    approval: str = ""  # what was said yes to, a Question's token; set by nothing but that yes
    approved_by: str = ""
    started: float | None = None
    finished: float | None = None

    @property
    def live(self) -> bool:
        return self.state in LIVE


def read_operation(row: Any) -> Operation:
    """Return the record of a row of the table."""
    values = row._asdict()
    values.pop("audience_kind")
    return Operation(**values)
