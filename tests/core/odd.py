"""Odd things to type: lines by the grammar of the commands and past it, and names of branches.

Made with dice and not with Hypothesis, which takes ten times as long for as many.
"""

from __future__ import annotations

import random
import re
import shlex
import string
import unicodedata
from collections.abc import Callable

import commands
from bot.command import Command, Parameter, find

KNOWN = find(commands)
NASTY = (
    "<!channel>", "<!here>", "<@U0ADA>", "@everyone", "<https://evil|ok>", "&amp;", "\x00",
    "\u202e", "‘", "”", "—keep", "../..", "'", '"', "until", "--", "-", "*x*", ":boom:",
)  # fmt: skip
# Each makes the file FILE where somebody executes or expands it; the second ones have no space,
# and git takes them for branches.
SPACED = (
    "$(touch FILE)", "`touch FILE`", ";touch FILE", "|touch FILE", "&& touch FILE",
    "\ntouch FILE\n", "'; touch FILE; '", '"; touch FILE; "', "--upload-pack=touch FILE",
    "-c core.sshCommand=touch FILE", "ext::sh -c touch% FILE", "{{ lookup('pipe','touch FILE') }}",
)  # fmt: skip
BRANCHES = (
    "$(touch${IFS}FILE)", "`touch${IFS}FILE`", ";touch${IFS}FILE", "x|touch${IFS}FILE",
    "x&&touch${IFS}FILE", "x';touch${IFS}FILE;'", 'x";touch${IFS}FILE;"', "-ctouch${IFS}FILE",
    "--upload-pack=touch${IFS}FILE", "{{lookup('pipe','touch${IFS}FILE')}}", "x#$(touch${IFS}FILE)",
)  # fmt: skip
INERT = string.ascii_letters + string.digits + "._/@+=#-"
GOOD: dict[str, Callable[[random.Random], str]] = {
    "ENV": lambda dice: dice.choice(("prod", "puppystream")),
    "FROM": lambda dice: "puppystream",
    "TO": lambda dice: "prod",
    "TYPE": lambda dice: dice.choice(("web", "celery")),
    "REF": lambda dice: "x" + "".join(dice.choices(INERT, k=dice.randrange(20))),
    "OPERATION": lambda dice: f"{dice.choice(('#', ''))}{dice.randrange(10**9)}",
    "RELEASE": lambda dice: str(dice.randrange(10**7)),
    "COUNT": lambda dice: f"{dice.choice(('+', '-', ''))}{dice.randrange(10**4)}",
    "TIME": lambda dice: f"{dice.randrange(1, 10**6)}{dice.choice('smhdSMHD')}",
    "N": lambda dice: str(dice.randrange(1, 1000)),
    "KEY": lambda dice: "K" + "".join(dice.choices(string.ascii_uppercase, k=8)),
    "until": lambda dice: dice.choice(("until", "UNTIL")),
}
LETTERS = string.ascii_letters + string.digits + "-._/@+=#$(){}<>!%&'`|;,\"äß漢"
REFUSED_BY_GIT = re.compile(r"\.\.|//|@\{|\.lock(/|$)|(^|/)\.|[/.]$|^/|^-|^@$")


def by_grammar(
    dice: random.Random, canary: str, command: Command | None = None, odd: float = 0.05
) -> str:
    """Return a line of a command as its usage says; `odd` of its words are anything."""
    chosen = command or KNOWN[dice.choice(sorted(KNOWN))]
    words, last = [chosen.name], ""
    for parameter in chosen.parameters:
        if not parameter.required and dice.random() < 0.5:
            continue
        value = anything(dice, canary) if dice.random() < odd else _value(dice, parameter, canary)
        if parameter.kind.exact:
            last = f" -- {shlex.quote(value)} {dice.choice(('', '--x', '>y'))}"
        elif parameter.flag:
            words += [f"--{parameter.option}", *([] if parameter.switch else [shlex.quote(value)])]
        else:
            words.append(shlex.quote(value))
    return " ".join(words) + last


def at_random(dice: random.Random, canary: str) -> str:
    """Return words of ours and of nobody's, as they come; or no words at all."""
    if dice.random() < 0.3:
        return _text(dice, 200)
    ours = (*sorted(KNOWN), "prod", "web", "master", "3")
    many = range(dice.randrange(9))
    return " ".join(
        dice.choice(ours) if dice.random() < 0.5 else anything(dice, canary) for _ in many
    )


def anything(dice: random.Random, canary: str) -> str:
    """Return a word: nasty, with the canary, or any characters there are."""
    kind = dice.randrange(3)
    if kind == 0:
        return dice.choice(SPACED + BRANCHES).replace("FILE", canary)
    return dice.choice(NASTY) if kind == 1 else _text(dice, 12)


def branch(dice: random.Random, number: int) -> str:
    """Return a name that git takes for a branch, another one for each number."""
    while True:
        name = "".join(dice.choice(LETTERS) for _ in range(dice.randrange(1, 40)))
        if not REFUSED_BY_GIT.search(whole := f"{name}{number}"):
            return whole


def _value(dice: random.Random, parameter: Parameter, canary: str) -> str:
    if good := GOOD.get(parameter.kind.label):
        return good(dice)
    return f"{dice.choice(('so', 'x;', ':'))} {anything(dice, canary)}"


def _text(dice: random.Random, most: int) -> str:
    """Return characters of all planes; no halves of a pair, which no client can send."""
    tops = (0x7F, 0x7F, 0xFF, 0x2FFF, 0x1FFFF)
    made = (chr(dice.randrange(dice.choice(tops))) for _ in range(dice.randrange(most + 1)))
    return "".join(c for c in made if unicodedata.category(c) != "Cs")
