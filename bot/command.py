"""Turns a function in commands/ into a command: its signature is the grammar.

Positional parameters are words, keyword-only ones are `--flags`, a bool is a switch. A parameter's
annotation is one of the kinds below; its reader turns a word into a thing, or says what is known.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from bot import config
from bot.config import Config
from bot.errors import Misunderstood, did_you_mean
from bot.events import Progress

REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@+=#-]{0,199}")


@dataclass(frozen=True)
class Kind:
    """How a word is named in a usage line, and how it is read."""

    label: str
    read: Callable[[str, Config], Any]
    rest: bool = False  # takes everything that is left of the line
    private: bool = False  # what is typed wrong beside it may be a secret: nothing is repeated
    exact: bool = False  # takes the words after `--`, just as they were quoted


def read_environment(word: str, told: Config) -> config.Environment:
    found: config.Environment = _known(word, told.environments, "environment")
    return found


def read_type(word: str, config: Config) -> str:
    _known(word, config.types, "type")
    return word


def read_ref(word: str, _config: Config) -> str:
    """Read a branch, a tag or a commit; only characters that are inert everywhere pass."""
    if (
        not REF.fullmatch(word)
        or ".." in word
        or "//" in word
        or word.endswith((".lock", "/", "."))
    ):
        shown = word if len(word) <= 60 else f"{word[:60]}… ({len(word)} characters)"
        raise Misunderstood(
            f'"{shown}" cannot be a branch, tag or commit here',
            "up to 200 letters, digits and . _ / @ + = # - are understood, a letter or digit first",
        )
    return word


def read_operation(word: str, _config: Config) -> str:
    if not re.fullmatch(r"#?\d{1,9}", word):
        raise Misunderstood(
            f'"{word}" is not the number of an operation',
            "it looks like #12; status shows what runs",
        )
    return word.removeprefix("#")


def read_release(word: str, _config: Config) -> int:
    if not re.fullmatch(r"\d{1,7}", word):
        raise Misunderstood(
            f'"{word}" is not the number of a release', "it looks like 12; releases ENV shows them"
        )
    return int(word)


@dataclass(frozen=True)
class Amount:
    """How many: a number, or how many more (or fewer) than now."""

    number: int
    relative: bool = False

    def of(self, now: int) -> int:
        return now + self.number if self.relative else self.number


def read_count(word: str, _config: Config) -> Amount:
    if not re.fullmatch(r"[+-]?\d{1,4}", word):
        raise Misunderstood(f'"{word}" is not a number of instances', "say 3, +1 or -1")
    return Amount(int(word), word[0] in "+-")


def read_duration(word: str, _config: Config) -> float:
    """Read 90s, 30m, 2h or 1d; returns seconds."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", word.lower())
    if not found or int(found[1]) == 0:
        raise Misunderstood(f'"{word}" is no length of time', "say 30m, 2h or 1d")
    return int(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}[found[2]]


def read_keep(word: str, _config: Config) -> int:
    if not re.fullmatch(r"\d{1,3}", word) or int(word) < 1:
        raise Misunderstood(f'"{word}" images cannot be kept', "keep 1 at least; 3 is usual")
    return int(word)


def read_until(word: str, _config: Config) -> str:
    if word.lower() != "until":
        raise Misunderstood(f'"until" belongs where "{word}" stands')
    return word


def read_key(word: str, _config: Config) -> str:
    """Read the name of a key; what is none may be a value, and is not repeated."""
    if not config.KEY.fullmatch(word):
        raise Misunderstood(
            "that is not the name of a key",
            "keys are named like TWITTER_KEY; a value is never typed here, it is asked for",
        )
    return word


def read_word(word: str, _config: Config) -> str:
    return word


def read_words(line: str, _config: Config) -> tuple[str, ...]:
    return tuple(shlex.split(line))


Environment = Annotated[config.Environment, Kind("ENV", read_environment)]
Source = Annotated[config.Environment, Kind("FROM", read_environment)]
Target = Annotated[config.Environment, Kind("TO", read_environment)]
HostType = Annotated[str, Kind("TYPE", read_type)]
Ref = Annotated[str, Kind("REF", read_ref)]
OperationNumber = Annotated[str, Kind("OPERATION", read_operation)]
ReleaseNumber = Annotated[int, Kind("RELEASE", read_release)]
Count = Annotated[Amount, Kind("COUNT", read_count)]
Duration = Annotated[float, Kind("TIME", read_duration)]
Keep = Annotated[int, Kind("N", read_keep)]
KeyName = Annotated[str, Kind("KEY", read_key, private=True)]
Reason = Annotated[str, Kind("REASON", read_word, rest=True)]
Until = Annotated[str, Kind("until", read_until)]
When = Annotated[str, Kind("WHEN", read_word)]
Words = Annotated[tuple[str, ...], Kind("-- COMMAND", read_words, exact=True)]
Token = Annotated[str, Kind("TOKEN", read_word)]
Name = Annotated[str, Kind("NAME", read_word)]
CommandName = Annotated[str, Kind("COMMAND", read_word)]


@dataclass(frozen=True)
class Parameter:
    """One word or flag of a command."""

    name: str
    kind: Kind
    required: bool
    flag: bool
    switch: bool = False

    @property
    def option(self) -> str:
        """Its name as a flag; `for_` and `_from` are Python ways to say `for` and `from`."""
        return self.name.strip("_").replace("_", "-")

    @property
    def shown(self) -> str:
        option = f"--{self.option}"
        if self.flag:
            return f"[{option}]" if self.switch else f"[{option} {self.kind.label}]"
        return self.kind.label if self.required else f"[{self.kind.label}]"


Arguments = Callable[[Mapping[str, Any]], bool]  # a question about the arguments of a call


def never(_arguments: Mapping[str, Any]) -> bool:
    return False


@dataclass(frozen=True)
class Command:
    """A function of commands/, read once.

    `here`: answered at once, from nothing but the store. `takes_over`: deploys of its environment
    that wait or run are cancelled as soon as it is accepted, or approved. `long`: it may take hours
    beside others, and change the application's data. `direct`: it is told in the direct messages of
    who asked. `part`: it is a part of another operation, and a worker does one at a time. `value`
    says whether a call needs a value that nobody may read, `looks` whether it changes nothing after
    all.
    """

    name: str
    function: Callable[..., Progress[None]]
    title: str
    help: str
    permission: str
    changes: bool  # it takes the environment for itself
    here: bool
    hidden: bool
    takes_over: bool
    long: bool
    direct: bool
    part: bool
    value: Arguments
    looks: Arguments
    parameters: tuple[Parameter, ...]

    @property
    def usage(self) -> str:
        last = sorted(self.parameters, key=lambda p: p.kind.exact)  # all behind -- are its words
        return " ".join([self.name, *(p.shown for p in last)])

    @property
    def words(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if not p.flag)

    @property
    def flags(self) -> Mapping[str, Parameter]:
        return {p.option: p for p in self.parameters if p.flag}


Function = Callable[..., Progress[None]]


def command(
    *,
    permission: str = "",
    changes: str = "",
    here: bool = False,
    hidden: bool = False,
    takes_over: bool = False,
    long: bool = False,
    direct: bool = False,
    part: bool = False,
    value: Arguments = never,
    looks: Arguments = never,
) -> Callable[[Function], Function]:
    """Mark a generator function as a command.

    `permission` is what people are given in the config (empty: everybody known may); `changes` is
    "environment" where the command must have the environment for itself.
    """

    def mark(function: Function) -> Function:
        function.command = {  # type: ignore[attr-defined]
            "permission": permission, "changes": bool(changes), "here": here, "hidden": hidden,
            "takes_over": takes_over, "long": long, "direct": direct, "part": part,
            "value": value, "looks": looks,
        }  # fmt: skip
        return function

    return mark


def find(package: ModuleType) -> dict[str, Command]:
    """Import every module of a package and return its commands by name."""
    found: dict[str, Command] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for function in vars(importlib.import_module(f"{package.__name__}.{module.name}")).values():
            if not hasattr(function, "command"):
                continue
            made = read(function)
            if made.name in found and found[made.name].function is not function:
                raise RuntimeError(f"two commands are named {made.name}")
            found[made.name] = made
    return dict(sorted(found.items()))


def read(function: Function) -> Command:
    """Read a command off its function's signature and docstring."""
    hints = get_type_hints(function, include_extras=True)
    parameters = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        hint = hints[parameter.name]
        flag = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        kind = Kind("", read_word) if hint is bool else _kind(hint)
        if kind is None:
            raise RuntimeError(f"{function.__name__}: {parameter.name} has no kind")
        parameters.append(
            Parameter(
                parameter.name,
                kind,
                parameter.default is inspect.Parameter.empty,
                flag,
                hint is bool,
            )
        )
    text = inspect.getdoc(function) or ""
    return Command(
        name=function.__name__.rstrip("_").replace("_", "-"),
        function=function,
        title=text.splitlines()[0] if text else "",
        help=text,
        parameters=tuple(parameters),
        **function.command,  # type: ignore[attr-defined]
    )


def _kind(hint: Any) -> Kind | None:
    if get_origin(hint) is Annotated:
        return next((extra for extra in hint.__metadata__ if isinstance(extra, Kind)), None)
    if get_origin(hint) in (Union, UnionType):
        return next((kind for part in get_args(hint) if (kind := _kind(part))), None)
    return None


def _known(word: str, known: Mapping[str, Any], what: str) -> Any:
    if word in known:
        return known[word]
    near = did_you_mean(word, known)
    raise Misunderstood(f'there is no {what} "{word}"', near or f"known: {', '.join(known)}")
