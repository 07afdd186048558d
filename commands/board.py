"""A link to the board, for whoever asks."""

from __future__ import annotations

from bot.command import command
from bot.errors import Refused
from bot.events import Answered, Progress
from bot.job import Job
from bot.links import LIFE
from bot.words import duration


@command(permission="status", here=True)
def board(job: Job) -> Progress[None]:
    """Give you a link to the board: what is live where, what waits, what was done.

    It shows the environments whose status you may see, and is good for twelve hours, for whoever
    has it.
    """
    every = tuple(job.config.environments)
    mine = tuple(name for name in every if job.may("status", name))
    link = job.board_link(None if mine == every else mine)
    if not link:
        raise Refused(
            "the pages have no address here",
            "set PACKLEAD_URL; on the machine itself they are at its own port",
        )
    yield Answered((link, f"keep it to yourself: for {duration(LIFE)} it opens for whoever has it"))
