"""Stop an operation: what it has begun is put back."""

from __future__ import annotations

from bot.command import OperationNumber, command
from bot.errors import Misunderstood
from bot.events import Answered, Progress
from bot.job import Job
from bot.store import Operation


@command(permission="cancel", here=True)
def cancel(job: Job, operation: OperationNumber | None = None) -> Progress[None]:
    """Stop an operation that waits or runs; hosts that left the balancer go back.

    Without a number it stops the only one that you may stop.
    """
    found = pick(job, operation)
    match job.history.cancel(found):
        case "cancelled":
            said = f"#{found.number} ({found.line}) is cancelled; it had not begun"
        case "cancelling":
            said = f"#{found.number} ({found.line}) is asked to stop; its thread tells how it ends"
        case _:
            said = f"#{found.number} ({found.line}) has ended already"
    yield Answered((said,))


def pick(job: Job, number: str | None) -> Operation:
    """Return the operation that is meant; raises Misunderstood where that is not clear."""
    if number is not None:
        found = job.history.get(number)
        if found is None:
            raise Misunderstood(f"there is no operation #{number}", "status shows what runs")
        job.people.authorise(job.speaker, "cancel", found.environment)
        return found
    live = [o for o in job.history.live() if not o.parent and job.may("cancel", o.environment)]
    if len(live) == 1:
        return live[0]
    if not live:
        raise Misunderstood("nothing runs that you may cancel")
    listed = "\n".join(f"cancel {o.number}   {o.line}, by {o.person}" for o in live)
    raise Misunderstood(f"{len(live)} operations run; say which", listed)
