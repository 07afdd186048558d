"""What may stand behind `packlead` on a command line."""

from __future__ import annotations

import argparse


def command_line(doc: str) -> argparse.ArgumentParser:
    """Return what reads it; `verb` says what is asked for, `up` where nothing is."""
    parser = argparse.ArgumentParser(
        prog="packlead",
        description=doc.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(verb="up")
    verbs = parser.add_subparsers(metavar="", dest="verb")
    for name in ("up", "web", "worker", "clock"):
        verbs.add_parser(name)
    looked = verbs.add_parser("check")
    looked.add_argument("part", nargs="?", default="", choices=("", "web", "worker", "clock"))
    said = verbs.add_parser("run")
    said.add_argument("line", nargs=argparse.REMAINDER, help="what to say, as in Slack")
    opened = verbs.add_parser("shell")
    opened.add_argument("environment")
    opened.add_argument("--reason", default="", help="what it is for; asked where it is not given")
    signed = verbs.add_parser("token")
    signed.add_argument("environment")
    signed.add_argument("ref", nargs="?", default="", help="the environment's own branch")
    signed.add_argument("--as", dest="person", default="", help="a person of the config; or: you")
    signed.add_argument("--for", dest="for_", default="10m", help="how long it is good, 10m")
    kept = verbs.add_parser("audit")
    kept.add_argument("what", choices=("verify", "export"))
    kept.add_argument("--after", type=int, default=0, help="leave out the rows up to this number")
    counted = verbs.add_parser("number-from")
    counted.add_argument("first", type=int)
    made = verbs.add_parser("manifest")
    made.add_argument("--url", default="", help="public https address, where signed HTTP is used")
    return parser
