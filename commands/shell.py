"""Open the application's shell on a manager instance: in a terminal, or in direct messages."""

from __future__ import annotations

from bot.adapters.aws.records import Instance
from bot.adapters.records import Talked
from bot.command import Environment, Reason, command
from bot.errors import Cancelled, Refused
from bot.events import Done, Event, Note, Opened, Planned, Progress, Stopped, WasCancelled
from bot.far import choose
from bot.job import Job
from bot.words import duration

FRONTS = ("slack", "terminal")


@command(permission="shell", long=True, direct=True)
def shell(
    job: Job, environment: Environment, reason: Reason, *, force: Reason | None = None
) -> Progress[None]:
    """Open the application's shell on a manager instance.

    In Slack it opens in your direct messages: each message is run where the one before left off,
    ^C stops what runs, exit ends it. What is typed and printed is recorded. Of a terminal (packlead
    shell ENV) only beginning and end are. The channel of the environment is told of both.
    """
    name = environment.name
    if not environment.shell:
        raise Refused(f"{name} has no shell", f"to allow it: environments.{name}.shell = true")
    if job.operation.front not in FRONTS:
        raise Refused("a shell is for somebody who sits at it", "ask for it in Slack")
    heed_other(job)
    host, said = choose(job.aws.fleet(name), job.config.app.manager)
    text = f"open a shell on {host.name}, {name}, for {job.speaker.name}: sure?"
    about = [f"a shell on {host.name} ({host.id})", f"because: {reason}"]
    if question := job.settle(environment, about, text, force=force):
        yield question
        return
    if force:
        yield Note(f"{job.speaker.name} passes over the policy: {force}")
    yield Planned(f"a shell on {host.name} of {name}: {reason}", (said,) if said else ())
    short = reason if len(reason) <= 300 else f"{reason[:300]}…"
    where = "in a terminal" if job.operation.front == "terminal" else "in direct messages"
    opened = f"{job.speaker.name} opens a shell on {host.name}, {where}: {short}"
    job.tell_channel(environment, opened, "opened")
    try:
        if job.operation.front == "terminal":
            yield Opened(host.name, host.address, f"{host.name} ({host.address})")
            ended = job.far.attend()
        else:
            ended = job.far.talk(host, environment.shell_seconds, welcome(job, environment, host))
    except Cancelled as stop:
        job.tell_channel(environment, f"{stop.by} ended the shell of {job.speaker.name}", "ended")
        yield WasCancelled(stop.by)
        return
    last = end(ended, host, environment.shell_seconds)
    how = last.text if isinstance(last, (Done, Stopped)) else ""
    job.tell_channel(environment, f"the shell of {job.speaker.name}: {how}", "ended")
    yield last


def heed_other(job: Job) -> None:
    """Raise Refused where this person has another shell open in Slack."""
    mine = job.operation
    for other in job.history.live() if mine.front == "slack" else ():
        same = (other.person, other.command, other.front) == (mine.person, "shell", "slack")
        if same and other.state == "running" and other.number < mine.number:
            raise Refused(f"you have a shell open: #{other.number}", "exit ends it")


def welcome(job: Job, environment: Environment, host: Instance) -> str:
    """Say what whoever has a shell must know."""
    return (
        f"the shell on {host.name} is open for {duration(environment.shell_seconds)}: what you "
        f"write here is run there, and recorded. Each line may take "
        f"{duration(job.config.app.line_seconds)}; ^C stops it, exit ends the shell"
    )


def end(ended: Talked, host: Instance, seconds: float) -> Event:
    """Say how a shell ended."""
    detail = f": {ended.detail}" if ended.detail else ""
    match ended.how:
        case "exit":
            return Done(f"it ended on {host.name}")
        case "left" if ended.detail == "255":
            return Stopped(
                f"the connection to {host.name} broke, or did not come about",
                "ssh says more, in the terminal",
                "interrupted",
            )
        case "left":
            return Done(f"it ended on {host.name}, with status {ended.detail}")
        case "ended":
            return Stopped(f"on {host.name} its process ended by itself, with {ended.detail}")
        case "expired":
            return Done(f"{duration(seconds)} are over: it was ended on {host.name}")
        case "stuck":
            return Stopped(
                f"what ran on {host.name} did not stop at Ctrl-C: the shell was ended with it",
                "what it had done by then is done",
            )
        case "dropped":
            return Stopped(
                f"the connection to {host.name} broke{detail}; what ran there ends with it",
                "what it had done by then is done",
                "interrupted",
            )
        case "silent":
            return Stopped("the terminal is gone, and the shell with it", "", "interrupted")
        case "lost":
            return Stopped(ended.detail, "open another one", "interrupted")
        case "unreachable":
            return Stopped(f"reaching {host.name}{detail}", "nothing was run")
        case _:
            return Stopped(f"the shell on {host.name} does not open{detail}")
