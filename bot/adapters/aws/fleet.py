"""The facade of AWS: `Aws(config)` has every verb for commands. Here, too: fleets, by tags."""

from __future__ import annotations

from bot.adapters.aws.balancers import Balancers
from bot.adapters.aws.described import instance
from bot.adapters.aws.instances import THERE
from bot.adapters.aws.launches import Launches
from bot.adapters.aws.pruning import Pruning
from bot.adapters.aws.records import Fleet, in_order
from bot.adapters.aws.uses import Uses


class Aws(Balancers, Launches, Pruning, Uses):
    """AWS as Packlead sees it: verbs take and return records, words and numbers only."""

    def fleet(self, environment: str) -> Fleet:
        """Return the instances of an environment that carry a Name and a Type."""
        rows = self._described(
            f"asking AWS for the instances of {environment}",
            {"tag:Env": [environment], "instance-state-name": THERE},
        )
        found = (instance(row) for row in rows)
        return Fleet(environment, in_order(i for i in found if i.name and i.type))
