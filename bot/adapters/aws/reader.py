"""Reads EC2's XML answers as records, while they come by: ten times faster than a tree of them."""

from __future__ import annotations

from dataclasses import dataclass
from xml.parsers import expat

from bot.adapters.aws.records import Instance

PATH = ["DescribeInstancesResponse", "reservationSet", "item", "instancesSet", "item"]
DEPTH = len(PATH)
FIELDS = {"instanceId", "imageId", "privateIpAddress", "launchTime", "subnetId"}


@dataclass(frozen=True)
class Page:
    """One page of instances, and the token of the next one."""

    instances: tuple[Instance, ...]
    next: str = ""


class _Reader:
    """Keeps where it is as a stack of names; `text` holds what the innermost element says."""

    def __init__(self) -> None:
        self.found: list[Instance] = []
        self.next = ""
        self.path: list[str] = []
        self.text: list[str] = []
        self.fields: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.key = self.value = ""

    def start(self, name: str, _attributes: object) -> None:
        self.path.append(name)
        self.text.clear()

    def end(self, name: str) -> None:
        depth = len(self.path)
        if depth == DEPTH:
            if self.path == PATH:
                self._instance()
        elif depth == DEPTH + 1:
            if name in FIELDS:
                self.fields[name] = "".join(self.text)
        elif depth == DEPTH + 2:
            if name == "item" and self.path[DEPTH] == "tagSet":
                self.tags[self.key], self.key, self.value = self.value, "", ""
            elif name == "name" and self.path[DEPTH] == "instanceState":
                self.fields["state"] = "".join(self.text)
        elif depth == DEPTH + 3:
            if self.path[DEPTH] == "tagSet":
                if name == "key":
                    self.key = "".join(self.text)
                elif name == "value":
                    self.value = "".join(self.text)
        elif depth == 2 and name == "nextToken":
            self.next = "".join(self.text)
        self.text.clear()
        self.path.pop()

    def _instance(self) -> None:
        get = self.fields.get
        self.found.append(
            Instance(
                id=get("instanceId", ""),
                name=self.tags.get("Name", ""),
                environment=self.tags.get("Env", ""),
                type=self.tags.get("Type", ""),
                address=get("privateIpAddress", ""),
                state=get("state", ""),
                launched=get("launchTime", "").replace(".000Z", "+00:00"),
                image=get("imageId", ""),
                subnet=get("subnetId", ""),
            )
        )
        self.fields, self.tags = {}, {}


def read_page(answer: bytes) -> Page:
    """Return the instances of an answer to DescribeInstances."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text.append
    parser.Parse(answer, True)
    return Page(tuple(reader.found), reader.next)


def read_error(answer: bytes) -> tuple[str, str]:
    """Return the code and the message of an error; both empty where it is something else."""
    seen: dict[str, str] = {}
    text: list[str] = []

    def end(name: str) -> None:
        seen.setdefault(name, "".join(text).strip())
        text.clear()

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    try:
        parser.Parse(answer, True)
    except expat.ExpatError:
        return "", ""
    return seen.get("Code", ""), seen.get("Message", "")
