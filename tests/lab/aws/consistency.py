"""Eventual consistency: what was just made is not found for some seconds."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from xml.etree import ElementTree

from tests.lab.aws.wire import Answer, Refusal, Request

MADE = {
    "RunInstances": re.compile(rb"<instanceId>(i-\w+)<"),
    "CreateImage": re.compile(rb"<imageId>(ami-\w+)<"),
}
LISTS = {
    "DescribeInstances": "instanceId",
    "DescribeInstanceStatus": "instanceId",
    "DescribeImages": "imageId",
    "DescribeTags": "resourceId",
}
NOT_FOUND = {
    "i-": ("InvalidInstanceID.NotFound", "The instance ID '{}' does not exist"),
    "ami-": ("InvalidAMIID.NotFound", "The image id '[{}]' does not exist"),
}
ID = re.compile(r"(i-|ami-)[0-9a-f]+")


class Consistency:
    """Hides new instances and images for `delay` seconds; 0, the default, hides nothing."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.hidden: dict[str, float] = {}  # id -> until when

    def check(self, request: Request) -> None:
        """Refuse a call that names what cannot be found yet."""
        if self._now_hidden():
            for value in request.params.values():
                if value in self.hidden and (found := ID.fullmatch(value)):
                    code, text = NOT_FOUND[found[1]]
                    raise Refusal(code, text.format(value))

    def shown(self, request: Request, answer: Answer) -> Answer:
        """The answer without what cannot be found yet; remembers what was made."""
        if not answer.ok or request.service != "ec2":
            return answer
        if request.action in LISTS and self._now_hidden():
            return self._without(answer, LISTS[request.action])
        if self.delay and request.action in MADE:
            until = time.monotonic() + self.delay
            for id in MADE[request.action].findall(answer.body):
                self.hidden[id.decode()] = until
        return answer

    def _now_hidden(self) -> bool:
        now = time.monotonic()
        for id in [id for id, until in self.hidden.items() if until <= now]:
            del self.hidden[id]
        return bool(self.hidden)

    def _without(self, answer: Answer, tag: str) -> Answer:
        tree = ElementTree.fromstring(answer.body)
        space = tree.tag.partition("}")[0] + "}"
        for parent in list(tree.iter()):
            for item in list(parent):
                if item.findtext(f"{space}{tag}") in self.hidden:
                    parent.remove(item)
        for parent in list(tree.iter(f"{space}reservationSet")):
            for item in list(parent):
                if not len(item.find(f"{space}instancesSet") or ()):
                    parent.remove(item)
        ElementTree.register_namespace("", space[1:-1])
        return replace(answer, body=ElementTree.tostring(tree))
