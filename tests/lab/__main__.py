"""Start the lab, or some of its parts, and stay up until ended: python -m tests.lab up.

`python -m tests.lab demo` starts Packlead on it too, and says where to look.

With --json one line, one object, is printed when everything is ready; else a summary for people.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.lab.demo import demo
from tests.lab.lab import PARTS, Lab


def main() -> None:
    options = _options()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    if options.demo:
        demo(options.quiet)
    with Lab(options.only, folder=options.folder, fleet=options.fleet) as lab:
        told = lab.described()
        print(json.dumps(told) if options.json else _summary(told), flush=True)
        while True:
            time.sleep(1)  # signal.pause() would miss a signal that comes just before it


def _end(number: int, frame: object) -> None:
    for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)  # clearing up is not to be interrupted
    sys.exit(0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="up|demo")
    up = verbs.add_parser("up", help="start it")
    up.set_defaults(demo=False)
    shown = verbs.add_parser("demo", help="start it with Packlead, and say where to look")
    shown.add_argument("--quiet", action="store_true", help="open no browser")
    shown.set_defaults(demo=True)
    up.add_argument("--only", type=_parts, default=PARTS, help=f"of {','.join(PARTS)}")
    up.add_argument("--json", action="store_true", help="print one line of JSON when all is ready")
    up.add_argument("--folder", type=Path, help="work here, and leave it there afterwards")
    up.add_argument("--fleet", type=_fleet, help="another fleet: prod.web=4,prod.celery=2")
    return parser.parse_args()


def _parts(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if wrong := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(wrong))}")
    return parts


def _fleet(text: str) -> dict[str, dict[str, int]]:
    fleet: dict[str, dict[str, int]] = {}
    for word in text.split(","):
        name, _, count = word.partition("=")
        environment, _, type = name.partition(".")
        if not (environment and type and count.isdigit()):
            raise argparse.ArgumentTypeError(f"{word!r} is not like prod.web=4")
        fleet.setdefault(environment, {})[type] = int(count)
    return fleet


def _summary(told: dict[str, Any]) -> str:
    lines = ["the lab is up"]
    lines += [f"  {name:18} {address}" for name, address in told["hosts"].items()]
    lines += [f"  balancer of {name:6} {url}/" for name, url in told["balancers"].items()]
    if told["repository"]:
        lines.append(f"  repository         {told['repository']}")
    if "slack" in told:
        lines.append(f"  slack              {told['slack']['page']}")
    lines += [f"  {note}" for note in told["notes"]]
    lines += ["", "point a packlead at it:", ""]
    lines += [f"  export {name}={value}" for name, value in told["env"].items()]
    return "\n".join([*lines, "", "end it with Ctrl-C"])


if __name__ == "__main__":
    main()
