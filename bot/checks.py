"""`packlead check`: asks every part whether it would start, and tells all that is wrong at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.errors import BotError
from bot.masking import mask

Probe = Callable[[], str]  # returns what was found; raises what is wrong


def told(probes: Mapping[str, Probe]) -> tuple[list[str], bool]:
    """Run the probes and return a line for each, and whether all is well."""
    lines, well = [], True
    for name, probe in probes.items():
        try:
            lines.append(f"ok     {name}: {probe()}")
        except Exception as error:
            well = False
            said = str(error) if isinstance(error, BotError) else f"{type(error).__name__}: {error}"
            first, *rest = mask(said).splitlines() or ["it says nothing"]
            lines += [f"wrong  {name}: {first}", *(f"       {line}" for line in rest)]
    return lines, well
