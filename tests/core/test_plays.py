"""What was begun elsewhere is mended before it is played again, and not played where that fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bot.adapters.records import Outcome
from bot.plays import Play, Plays
from bot.store import Store


class Playbooks:
    """Counts what is played; `well` says whether mending is."""

    def __init__(self, well: bool) -> None:
        self.well, self.played = well, list[str]()

    def state(self, run: str) -> str:
        return "ended" if run in self.played else "new"

    def play(self, run: str, playbook: str, *_: object) -> Outcome:
        self.played.append(f"{playbook} in {run}")
        return Outcome(self.well or playbook != "mend.yml")


class Steps:
    """A worker that takes over what a machine has left that is gone."""

    def take(self, place: str, *_: object) -> tuple[int, bool]:
        return 3, True

    def alive(self) -> str:
        return ""


@pytest.mark.parametrize("well", [True, False])
def test_a_host_that_may_still_be_out_is_not_followed_by_another(store: Store, well: bool):
    row: dict[str, Any] = {"command": "deploy", "environment": "prod", "person": "ada"}
    operation, _ = store.submit("op", line="deploy prod", front="slack", **row)
    playbooks = Playbooks(well)
    job = SimpleNamespace(operation=operation, held=lambda: SimpleNamespace(playbooks=playbooks))
    play = Play("deploy.yml", "prod", (), {}, lambda *_: None, lambda: "", mend="mend.yml")
    outcome = Plays(job, store, Steps()).play("1-2", play)  # type: ignore[arg-type]
    assert outcome.ok is well
    mended, again = "mend.yml in 1-2.3-mend", "deploy.yml in 1-2.3"
    assert playbooks.played == ([mended, again] if well else [mended])
