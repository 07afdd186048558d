"""A place in a payload, by JSON pointer, and the sentences Slack says about it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from tests.lab.slack.records import Json


@dataclass(frozen=True)
class Spot:
    value: Any
    path: str
    found: list[str]

    def say(self, what: str) -> None:
        self.found.append(f"{what} [json-pointer:{self.path or '/'}]")

    def at(self, key: str | int) -> Spot:
        if isinstance(key, str):
            inner = self.value.get(key) if isinstance(self.value, dict) else None
        else:
            inner = self.value[key]
        return Spot(inner, f"{self.path}/{key}", self.found)

    def has(self, key: str) -> bool:
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def items(self) -> Iterator[Spot]:
        if isinstance(self.value, list):
            for number in range(len(self.value)):
                yield self.at(number)

    # checks

    def is_object(self) -> bool:
        if isinstance(self.value, dict):
            return True
        self.say("must be an object")
        return False

    def fields(self, required: Collection[str], optional: Collection[str] = ()) -> bool:
        """Required ones are there, unknown ones are not."""
        if not self.is_object():
            return False
        body: Json = self.value
        missing = [key for key in required if body.get(key) is None]
        for key in missing:
            self.say(f"missing required field: {key}")
        for key in body:
            if key not in required and key not in optional and key != "type":
                self.say(f"invalid additional property: {key}")
        return not missing

    def string(self, most: int | None = None, least: int = 1) -> None:
        if not isinstance(self.value, str):
            self.say("must be a string")
        elif len(self.value) < least:
            self.say(f"must be more than {least - 1} characters")
        elif most is not None and len(self.value) > most:
            self.say(f"must be less than {most + 1} characters")

    def optional_string(self, key: str, most: int | None = None, least: int = 1) -> None:
        if self.has(key):
            self.at(key).string(most, least)

    def array(self, most: int | None = None, least: int = 1) -> bool:
        if not isinstance(self.value, list):
            self.say("must be an array")
            return False
        if len(self.value) < least:
            self.say(f"no fewer than {least} items allowed" if least > 1 else "must not be empty")
        if most is not None and len(self.value) > most:
            self.say(f"no more than {most} items allowed")
        return True

    def one_of(self, allowed: Collection[Any]) -> bool:
        if isinstance(self.value, (str, int)) and self.value in allowed:
            return True
        self.say(f"must be a valid enum value: one of {', '.join(map(str, sorted(allowed)))}")
        return False

    def boolean(self, *keys: str) -> None:
        for key in keys:
            if self.has(key) and not isinstance(self.at(key).value, bool):
                self.at(key).say("must be a boolean")

    def whole(self, key: str, least: int, most: int) -> None:
        value = self.at(key).value
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int):
            self.at(key).say("must be an integer")
        elif not least <= value <= most:
            self.at(key).say(f"must be between {least} and {most}")

    def web_address(self, key: str, most: int = 3000) -> None:
        if not self.has(key):
            return
        spot = self.at(key)
        spot.string(most)
        if isinstance(spot.value, str) and not spot.value.startswith(("http://", "https://")):
            spot.say("must be a valid URL")
