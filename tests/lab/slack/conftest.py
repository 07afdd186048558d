"""What the tests of the lab's Slack share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from tests.lab.slack import Slack
from tests.lab.slack.boltbot import BoltBot


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack(rate_limits=False) as slack:
        yield slack


@pytest.fixture
def client(slack: Slack) -> WebClient:
    """The app's own client, as its code would call Slack."""
    return WebClient(token=slack.bot_token, base_url=slack.api_url)


@pytest.fixture
def bot(slack: Slack) -> Iterator[BoltBot]:
    bot = BoltBot(slack)
    yield bot
    bot.close()
