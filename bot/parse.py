"""From what somebody typed to a call that is ready to run. The whole line must match.

Phones turn `--keep` into `—keep` and quotes into curly ones: they mean what was meant.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.command import Command, Parameter
from bot.config import Config, Environment
from bot.errors import BotError, Misunderstood, did_you_mean

LONGEST = 2000
PLACES = ("ENV", "FROM", "TO")  # what an environment is called in a usage line
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»", '"') | dict.fromkeys("‘’‚‛", "'"))
_DASHES = re.compile(r"(?:(?<=\s)|^)[—–―−]+(?=[^\W\d])")
_AFTER = re.compile(r"(?<=\s)(?:--|[—–―−])(?=\s|$)")
_MINUS = re.compile(r"(?:(?<=\s)|^)[—–―−](?=\d)")


@dataclass(frozen=True)
class Call:
    """A command with its arguments, which are things by now and no longer words."""

    command: Command
    arguments: Mapping[str, Any] = field(default_factory=dict)
    line: str = ""  # the canonical line, which reads back as the same call

    @property
    def environment(self) -> str:
        """The environment that the call is about; empty where it is about none, or about all."""
        found = self.arguments.get("environment")
        return found.name if isinstance(found, Environment) else ""

    @property
    def exclusive(self) -> bool:
        """Whether it takes the environment for itself; a dry run never does."""
        looks = self.arguments.get("dry_run") or self.command.looks(self.arguments)
        return self.command.changes and not looks

    @property
    def heeds_lock(self) -> bool:
        """Whether a person's lock stops it: it changes the environment, or may change its data."""
        return self.exclusive or self.command.long


def normalise(text: str) -> str:
    """Undo what phones and chat clients do to a line."""
    text = "".join(" " if unicodedata.category(c) in ("Zs", "Cc") else c for c in text)
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return _MINUS.sub("-", _DASHES.sub("--", text.translate(_QUOTES))).strip()


def parse(text: str, commands: Mapping[str, Command], config: Config) -> Call:
    """Read one line; raises Misunderstood with what to type instead."""
    if len(text) > LONGEST:
        raise Misunderstood(f"that is {len(text)} characters long; {LONGEST} are read at most")
    text, after = _parted(text, commands)
    words = split(normalise(text))
    if not words:
        raise Misunderstood("nothing was said", "help lists what can be said")
    name = words[0].lower().removeprefix("/")
    if name not in commands:
        known = [c.name for c in commands.values() if not c.hidden]
        raise Misunderstood(
            f'there is no command "{words[0]}"',
            did_you_mean(name, known) or "help lists what can be said",
        )
    command = commands[name]
    try:
        given, flags = _sort(words[1:], command)
        arguments = _read_words(given, command, config)
        exact = next((p for p in command.words if p.kind.exact), None)
        said = _exact(after, command, exact) if exact else ""
        if exact:
            arguments[exact.name] = exact.kind.read(said, config)
        for flag, value in flags.items():
            parameter = command.flags[flag]
            arguments[parameter.name] = (
                True if value is None else parameter.kind.read(value, config)
            )
    except BotError as error:
        usage = f"usage: {command.usage}"
        if any(p.kind.private for p in command.words):
            raise Misunderstood(*_unrepeated(error, command, usage)) from None
        raise Misunderstood(error.text, f"{error.hint}\n{usage}" if error.hint else usage) from None
    line = [name, *map(_quoted, words[1:])]
    return Call(command, arguments, " ".join([*line, "--", said] if said else line))


def _unrepeated(error: BotError, command: Command, usage: str) -> tuple[str, str]:
    """Return what may be said where what was typed may hold a value: the nearest word that fits."""
    near = error.hint if error.hint.startswith("did you mean") else ""
    asked = "a value is never typed here: it is asked for, in a form or without echo"
    said = f"{command.name} is not said like that, and what was typed is not repeated"
    return said, "\n".join(part for part in (near, asked, usage) if part)


def _parted(text: str, commands: Mapping[str, Command]) -> tuple[str, str]:
    """Cut off what stands behind `--`, where the command takes such words; phones make it a —."""
    first = next(iter(normalise(text[:200]).split()), "").lower().removeprefix("/")
    command = commands.get(first)
    found = _AFTER.search(text)
    if not found or not command or not any(p.kind.exact for p in command.words):
        return text, ""
    return text[: found.start()], text[found.end() :]


def _exact(text: str, command: Command, parameter: Parameter) -> str:
    """Return words as they were quoted; only where no straight quote is there, a phone had them."""
    if "\0" in text:
        raise Misunderstood("a word cannot hold the character with the number 0")
    if not re.search("[\"'\\\\]", text):
        text = _DASHES.sub("--", text.translate(_QUOTES))
    try:
        words = shlex.split(text)
    except ValueError:
        raise Misunderstood("a quote is opened behind -- and never closed") from None
    if not words:
        raise _missing(command, parameter)
    return shlex.join(words)


def split(text: str) -> list[str]:
    """Split a line into words as a shell does, but take a lone apostrophe for what it is."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _quoted(word: str) -> str:
    """Return a word so that it is read back as it is: a phone's dash in front of it stays one."""
    return shlex.quote(word) if re.search(r"[\s\"'\\]|^[—–―−]", word) or not word else word


def _sort(words: list[str], command: Command) -> tuple[list[str], dict[str, str | None]]:
    given: list[str] = []
    flags: dict[str, str | None] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("--"):
            given.append(word)
            continue
        name, has_value, value = word[2:].partition("=")
        if name not in command.flags:
            near = did_you_mean(name, command.flags)
            raise Misunderstood(f'{command.name} knows no "{word}"', near.replace('"', '"--', 1))
        if name in flags:
            raise Misunderstood(f'"--{name}" is there twice')
        if command.flags[name].switch:
            if has_value:
                raise Misunderstood(f'"--{name}" takes no value')
            flags[name] = None
        else:
            flags[name] = value if has_value else next(rest, "")
            if not flags[name]:
                raise Misunderstood(f'"--{name}" needs a {command.flags[name].kind.label}')
    return given, flags


def _read_words(given: list[str], command: Command, config: Config) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    parameters = [p for p in command.words if not p.kind.exact]
    for place, parameter in enumerate(parameters):
        if parameter.kind.rest:
            words, given = given[place:], given[:place]
            if words:
                arguments[parameter.name] = parameter.kind.read(" ".join(words), config)
            elif parameter.required:
                raise _missing(command, parameter)
        elif place < len(given):
            arguments[parameter.name] = parameter.kind.read(given[place], config)
        elif parameter.required:
            raise _missing(command, parameter, config)
    if len(given) > len(parameters):
        surplus = " ".join(given[len(parameters) :])
        raise Misunderstood(f'{command.name} does not know what to do with "{surplus}"')
    return arguments


def _missing(command: Command, parameter: Parameter, config: Config | None = None) -> Misunderstood:
    label = parameter.kind.label
    article = "an" if label[0] in "AEIO" else "a"
    known = config and label in PLACES and f"known: {', '.join(config.environments)}"
    return Misunderstood(f"{command.name} needs {article} {label}", known or "")
