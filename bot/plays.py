"""One play of a playbook, wherever it was begun: it goes on, or what it left is mended and it is
played again.

A playbook's run is on one machine. A worker on that machine finds it again; one elsewhere cannot,
and must not play beside it. So each begun run has a turn (bot/turns.py), which is in the name of
its folder, in the keys of what it tells, and in what the hosts compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bot.adapters.aws.records import Instance
from bot.adapters.records import Outcome
from bot.detached import Expired
from bot.events import Event, Note

if TYPE_CHECKING:
    from bot.job import Job, Steps
    from bot.store import Store

AGAIN = "the worker that had {playbook} played is gone: what it had begun is played again"


@dataclass(frozen=True)
class Play:
    """What is to be played, on which hosts, and who hears of it. `mend` is what Job.play says."""

    playbook: str
    environment: str
    hosts: Sequence[Instance]
    variables: Mapping[str, Any]
    tell: Callable[[str, Event], None]
    asked: Callable[[], str]
    mend: str = ""
    plays: tuple[str, ...] = ()  # of the playbook; none: all
    whole: str = ""  # the operation in whose name the hosts are asked; empty: this one


class Plays:
    """The plays of one job."""

    def __init__(self, job: Job, store: Store, steps: Steps) -> None:
        self._job, self._store, self._steps = job, store, steps

    def play(self, place: str, play: Play) -> Outcome:
        """Play to the end; what was begun elsewhere, and was interrupted, is mended first.

        Where mending fails, that is the outcome.
        """
        playbooks = self._job.held().playbooks
        while True:
            turn, again = self._steps.take(place, playbooks.state, play.whole)
            run = f"{place}.{turn}"
            try:
                if again:
                    text = AGAIN.format(playbook=play.playbook)
                    self._store.append(self._job.operation.id, f"{run}:again", Note(text))
                if again and play.mend:
                    # In a turn of its own: the hosts take it for the end of all that was before.
                    mend = replace(play, playbook=play.mend, plays=(), asked=self._steps.alive)
                    mended = self._one(f"{run}-mend", turn - 1, mend)
                    if not mended.ok:  # a host may still be out, and the play would take another
                        return mended
                return self._one(run, turn, play)
            except Expired:
                self._steps.alive()  # it was ended since we were away; it is still ours, though

    def _one(self, run: str, turn: int, play: Play) -> Outcome:
        def tell(key: str, event: Event) -> None:
            self._steps.alive()  # before each line: what comes late is no news any more
            play.tell(f"{run}:{key}", event)

        return self._job.held().playbooks.play(
            run, play.playbook, play.environment, play.hosts,
            {**play.variables, "packlead_turn": turn}, tell, play.asked, play.plays,
        )  # fmt: skip
