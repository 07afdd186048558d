"""Keep an environment for yourself for a while."""

from __future__ import annotations

from bot.command import Duration, Environment, Reason, command
from bot.errors import Busy
from bot.events import Answered, Progress
from bot.job import Job
from bot.words import lock_line

NO_END_HINT = "it has no end; next time: lock ENV --for 2h REASON"


@command(permission="lock", here=True)
def lock(
    job: Job, environment: Environment, reason: Reason, *, for_: Duration | None = None
) -> Progress[None]:
    """Keep an environment for yourself: nobody else deploys, scales or changes it meanwhile.

    Nobody else runs a command or opens a shell there either, and no push deploys. --for says for
    how long, as in 30m, 2h or 1d. What runs already runs on.
    """
    mine = job.history.take_lock(environment.name, reason, for_)
    now = job.now()
    if (mine.person, mine.reason) != (job.speaker.name, reason):
        raise Busy(lock_line(mine, now), f"unlock {environment.name} --steal takes it")
    lines = [lock_line(mine, now)]
    if mine.until is None:
        lines.append(f"unlock {environment.name} gives it back; {NO_END_HINT}")
    yield Answered(tuple(lines))
