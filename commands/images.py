"""The images that new instances start from."""

from __future__ import annotations

from datetime import datetime

from bot.adapters.aws.records import Image, Use
from bot.command import Environment, command
from bot.events import Answered, Progress
from bot.job import Job
from bot.words import duration, listed


@command(permission="status")
def images(job: Job, environment: Environment | None = None) -> Progress[None]:
    """Show images by master: age, commit, release, size, and who uses them."""
    found = job.aws.images(environment.name if environment else "")
    mine = [i for i in found if job.may("status", i.environment)]
    yield Answered(tuple(rows(mine, job.aws.uses(), job.now())) or ("no images yet",), table=True)


def rows(images: list[Image], uses: tuple[Use, ...], now: float) -> list[str]:
    """Return a line for each master and, below it, one for each image, newest first."""
    lines: list[str] = []
    for master in dict.fromkeys((i.environment, i.master) for i in sorted(images, key=_place)):
        lines.append(f"{master[1]} ({master[0]})")
        for image in sorted(images, key=lambda i: i.created, reverse=True):
            if (image.environment, image.master) != master:
                continue
            users = [use.by for use in uses if use.image == image.id]
            used = f"  used by {listed(users, 3)}" if users else ""
            state = "" if image.state == "available" else f"  {image.state}"
            lines.append(
                f"  {image.id:22} {duration(now - stamp(image)):>10} old  {image.commit[:7]:7} "
                f"release {image.release or '?':5} {image.gigabytes} GB{state}{used}"
            )
    return lines


def stamp(image: Image) -> float:
    """Return when an image was made, in Unix seconds."""
    return datetime.fromisoformat(image.created).timestamp()


def _place(image: Image) -> tuple[str, str]:
    return image.environment, image.master
