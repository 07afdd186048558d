"""What can be said."""

from __future__ import annotations

from bot.command import CommandName, command
from bot.errors import Misunderstood, did_you_mean
from bot.events import Answered, Progress
from bot.job import Job


@command(here=True)
def help(job: Job, name: CommandName | None = None) -> Progress[None]:
    """Show what you may say, or how one command is used."""
    mine = {n: c for n, c in job.commands.items() if not c.hidden and job.may(c.permission)}
    if name is None:
        # Without flags, or it would not fit into a message; `help COMMAND` has them.
        short = {" ".join([n, *(p.shown for p in c.words)]): c.title for n, c in mine.items()}
        widest = max(map(len, short))
        yield Answered(tuple(f"{said:{widest}}   {title}" for said, title in short.items()), True)
        return
    if name not in mine:
        raise Misunderstood(
            f'there is no command "{name}", or not for you',
            did_you_mean(name, mine) or "help lists what can be said",
        )
    found = mine[name]
    yield Answered((f"usage: {found.usage}", "", *found.help.splitlines()))
