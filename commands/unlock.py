"""Give a lock back, or take one over."""

from __future__ import annotations

from bot.command import Environment, command
from bot.errors import Misunderstood, Refused
from bot.events import Answered, Progress
from bot.job import Job
from bot.words import lock_line


@command(permission="lock", here=True)
def unlock(job: Job, environment: Environment, *, steal: bool = False) -> Progress[None]:
    """Give an environment back. --steal takes somebody else's lock away, who is told by whom."""
    held = job.history.lock(environment.name)
    if held is None:
        raise Misunderstood(f"{environment.name} is not locked", "locks shows which are")
    if held.person != job.speaker.name and not steal:
        raise Refused(
            lock_line(held, job.now()), f"ask {held.person}, or: unlock {environment.name} --steal"
        )
    if not job.history.drop_lock(held):
        raise Refused(f"{environment.name} has another lock by now", f"unlock {environment.name}")
    if held.person == job.speaker.name:
        yield Answered((f"{environment.name} is free",))
        return
    told = f"{job.speaker.name} took {held.person}'s lock away: {held.reason}"
    job.tell_channel(environment, told, to=held.person)
    yield Answered((f"{environment.name} is free; {held.person} is told that you took it",))
