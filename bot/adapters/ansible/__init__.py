"""Plays playbooks: in a process of their own that outlives the bot, told as events of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import bot
from bot import detached
from bot.adapters.ansible import child
from bot.adapters.ansible.place import Place, argv, environment_of
from bot.adapters.ansible.told import Story
from bot.adapters.aws.records import Instance
from bot.adapters.records import Outcome
from bot.config import Config
from bot.errors import Failed
from bot.events import Event


def playbooks() -> Path:
    """Return the folder of the playbooks, in a checkout or beside an installed package."""
    package = Path(bot.__file__).resolve().parent
    installed = package / "_share" / "playbooks"
    return installed if installed.is_dir() else package.parent / "playbooks"


class Ansible:
    """Runs playbooks detached, below the folder `runs`; asked again, attaches to the same run."""

    def __init__(
        self, config: Config, runs: Path, lease: float = 0, folder: Path | None = None
    ) -> None:
        self._config, self._runs, self._lease = config, runs.absolute(), lease
        self._folder = folder or playbooks()

    def state(self, directory_name: str) -> str:
        """Say how a run stands on this machine: new, running, ended, expired or lost."""
        return detached.state(self._runs / directory_name)

    def attend(self, directory_name: str) -> None:
        """Say of what runs there that somebody looks after it; not without owning it."""
        detached.attend(self._runs / directory_name)

    def play(
        self,
        directory_name: str,
        playbook: str,
        environment: str,
        hosts: Sequence[Instance],
        variables: Mapping[str, Any],
        tell: Callable[[str, Event], None],
        cancelled: Callable[[], str],
        plays: Sequence[str] = (),
    ) -> Outcome:
        """Play a playbook on exactly these hosts, to its end, and return how it ended.

        With `plays`, by their names, it is only those of it.

        The keys that `tell` gets are the same whenever a run is read again. Raises Cancelled when
        somebody said stop and everything has ended, and detached.Lost when the run vanished.
        """
        if not hosts:
            raise Failed(f"playing {playbook}: there are no hosts to play it on")
        run = self._runs / directory_name
        place = Place(run)
        story = Story(playbook, self._config, environment, hosts)
        try:
            if detached.state(run) == "new":
                env = environment_of(self._config, self._folder, place)
                env |= detached.watched(run, self._lease)
                program = argv(child.__file__, self._config, self._folder / playbook, place, plays)
                fill = partial(place.fill, self._config, environment, hosts, variables)
                detached.start(run, program, env, self._lease, fill)
            code = detached.wait(
                run, lambda number, line: _tell(story, number, line, tell), cancelled
            )
        except detached.Lost as lost:
            raise type(lost)(f"playing {playbook}: {lost.text}", lost.hint) from None
        finally:
            if detached.state(run) != "running":
                place.remove()
        for number, event in enumerate(story.end(code)):
            tell(f"end.{number}", event)
        return story.outcome(code, detached.errors(run))


def _tell(
    story: Story, number: int, line: detached.Line, tell: Callable[[str, Event], None]
) -> None:
    for part, event in enumerate(story.read(line)):
        tell(f"{number}.{part}", event)
