"""Leave an environment alone for a while: nothing is deployed to it."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.command import Environment, Reason, Until, When, command
from bot.errors import Misunderstood
from bot.events import Answered, Progress
from bot.frozen import Freeze, until, zone_of
from bot.job import Job
from bot.words import duration


@command(permission="freeze", here=True)
def freeze(
    job: Job, environment: Environment, _until: Until, when: When, reason: Reason
) -> Progress[None]:
    """Hold deploys of people, pushes and the clock until then: 36h, 17:00, friday, 2026-12-27.

    --force of a deploy passes over it where the config allows that; rollback works all the same.
    """
    now, zone = job.now(), zone_of(job.speaker.zone)
    end = until(when, now, zone)
    job.history.keep_freeze(environment.name, Freeze(end, reason, job.speaker.name))
    at = f"{datetime.fromtimestamp(end, UTC).astimezone(zone):%a %d %b %H:%M %Z}"
    said = f"{environment.name} is frozen until {at}, for {duration(end - now)}: {reason}"
    job.tell_channel(environment, f"{job.speaker.name}: {said}")
    yield Answered((said, f"unfreeze {environment.name} ends it"))


@command(permission="freeze", here=True)
def unfreeze(job: Job, environment: Environment) -> Progress[None]:
    """End a freeze that somebody said; the windows of the config stay."""
    held = job.history.freeze(environment.name)
    if held is None or held.until < job.now():
        raise Misunderstood(f"nobody has frozen {environment.name}", "status shows how it is")
    job.history.keep_freeze(environment.name, None)
    job.tell_channel(environment, f"{job.speaker.name}: {environment.name} is not frozen any more")
    yield Answered((f"{environment.name} is not frozen any more",))
