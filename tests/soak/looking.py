"""What web hosts really serve, asked past the balancer."""

from __future__ import annotations

import json
from urllib.request import urlopen

from tests.lab.lab import Lab


def serving(lab: Lab, environment: str = "prod") -> dict[str, str]:
    """Return the commit that each web host answers with."""
    commits = {}
    for name in lab.fleet.health(environment):
        with urlopen(f"http://{lab.hosts[name]}:8000/healthz", timeout=10) as answer:
            commits[name] = str(json.load(answer)["commit"])
    return commits
