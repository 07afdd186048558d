"""What a test of rotations looks at: the value in the store, and the newest rotation."""

from __future__ import annotations

import base64
import json

from tests.e2e.world import World
from tests.lab.aws.proxy import PEEK


def newest_number(world: World, environment: str = "prod") -> int:
    rows = world.store.history(environment, "rotate-key", 1)
    return max((row.number for row in rows), default=0)


def stored(world: World, key: str, environment: str = "prod") -> tuple[str, int]:
    """Return the value of a key in the store, and its version."""
    name, ssm = f"/app/{environment}/{key}", world.lab.aws.client("ssm", PEEK)
    row = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    filters = [{"Key": "Name", "Values": [name]}]
    about = ssm.describe_parameters(ParameterFilters=filters)["Parameters"][0]["Description"]
    packed = json.loads(about).get("packed")
    value = base64.b64decode(row["Value"]).decode() if packed else row["Value"]
    return str(value), int(row["Version"])
