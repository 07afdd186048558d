"""What the page is fed and what it may do, asked as a browser does."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

from slack_sdk import WebClient

from tests.lab.slack import Slack

WEB = Path(__file__).parent / "web"


def get(slack: Slack, path: str) -> Any:
    with urllib.request.urlopen(slack.page_url + path) as answer:
        return answer.read().decode()


def post(slack: Slack, doing: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"{slack.page_url}lab/{doing}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_every_part_is_served_from_here(slack: Slack) -> None:
    html = get(slack, "")
    parts = re.findall(r'(?:src|href)="(/lab/[^"]+)"', html)
    assert parts == ["/lab/page.css", "/lab/page.js"]
    for script in WEB.glob("*.js"):
        text = get(slack, f"lab/{script.name}")
        for found in re.findall(r'from "\./([^"]+)"', text):
            assert (WEB / found).exists()
    everything = "".join(file.read_text() for file in WEB.iterdir())
    assert not re.search(r'(?:src|href|url|import)\s*[=(]?\s*["\']https?://', everything)


def test_each_person_sees_their_own(slack: Slack, client: WebClient) -> None:
    client.chat_postMessage(channel="C0PROD", text="for all")
    client.chat_postMessage(channel="U0BOB", text="for bob")
    client.chat_postEphemeral(channel="C0PROD", user="U0ADA", text="for ada")
    ada = json.loads(get(slack, "lab/state?as=U0ADA"))
    bob = json.loads(get(slack, "lab/state?as=U0BOB"))
    assert [one["text"] for one in ada["private"]] == ["for ada"]
    assert bob["private"] == []
    assert [one["text"] for one in bob["messages"]["D0BOB"]] == ["for bob"]
    assert "D0BOB" not in ada["messages"]
    assert [one["id"] for one in ada["channels"]] == ["C0PROD", "C0PUPPY", "C0OPS", "D0ADA"]


def test_it_types_and_is_told_mistakes(slack: Slack) -> None:
    assert post(slack, "say", {"as": "U0ADA", "channel": "C0PROD", "text": "hi @bob"})["ok"]
    assert slack.messages("C0PROD")[0].text == "hi <@U0BOB>"
    sent = post(slack, "command", {"as": "U0ADA", "channel": "C0PROD", "name": "/deploy"})
    assert sent["done"]["acked"] is False
    answer = post(slack, "click", {"as": "U0ADA", "where": "1.1", "action_id": "cancel"})
    assert answer == {"ok": False, "error": "U0ADA sees no message 1.1"}


def test_it_suggests_commands(slack: Slack) -> None:
    post(slack, "commands", [{"command": "/deploy", "description": "Deploy"}])
    state = json.loads(get(slack, "lab/state"))
    assert state["commands"] == [{"command": "/deploy", "description": "Deploy"}]


def test_changes_are_told_at_once(slack: Slack) -> None:
    with urllib.request.urlopen(f"{slack.page_url}lab/events", timeout=60) as stream:
        first = stream.readline()
        slack.say("U0ADA", "C0PROD", "hello")
        stream.readline()
        assert stream.readline() != first
