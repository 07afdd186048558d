"""Rate limits and tickets by a clock of the test's own."""

from __future__ import annotations

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.lab.slack import Slack
from tests.lab.slack.rates import POST_BURST, Rates
from tests.lab.slack.records import SlackError
from tests.lab.slack.tickets import Tickets


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_update_is_fifty_a_minute_over_all_channels() -> None:
    clock = Clock()
    rates = Rates(1.0, clock)
    assert [rates.take("chat.update", f"C{n}") for n in range(50)] == [0] * 50
    clock.now += 20
    assert rates.take("chat.update", "C0") == 40
    clock.now += 40
    assert rates.take("chat.update", "C0") == 0


def test_posting_is_one_a_second_for_each_channel() -> None:
    clock = Clock()
    rates = Rates(1.0, clock)
    assert [rates.take("chat.postMessage", "C1") for _ in range(POST_BURST)] == [0] * POST_BURST
    assert rates.take("chat.postMessage", "C1") == 1
    assert rates.take("chat.postMessage", "C2") == 0
    clock.now += 1
    assert rates.take("chat.postMessage", "C1") == 0
    assert rates.take("chat.postMessage", "C1") == 1


def test_ten_times_as_generous() -> None:
    clock = Clock()
    rates = Rates(10.0, clock)
    for _ in range(50):
        rates.take("chat.update")
    assert rates.take("chat.update") == 6
    clock.now += 6
    assert rates.take("chat.update") == 0


def test_too_many_is_a_429_with_retry_after() -> None:
    with Slack() as slack:
        slack._hub.rates.clock = Clock()  # or a slow machine is slow enough
        client = WebClient(token=slack.bot_token, base_url=slack.api_url)
        with pytest.raises(SlackApiError) as caught:
            for _ in range(POST_BURST + 1):
                client.chat_postMessage(channel="C0PROD", text="x")
        assert caught.value.response.status_code == 429
        assert caught.value.response["error"] == "ratelimited"
        assert caught.value.response.headers["retry-after"] == "1"
        assert len(slack.messages("C0PROD")) == POST_BURST
        assert slack.refused == []


def test_a_trigger_lives_three_seconds_and_is_used_once() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    first, second = tickets.trigger("U0ADA"), tickets.trigger("U0ADA")
    assert tickets.exchange(first).user == "U0ADA"
    with pytest.raises(SlackError, match="exchanged_trigger_id"):
        tickets.exchange(first)
    clock.now += 3.1
    with pytest.raises(SlackError, match="expired_trigger_id"):
        tickets.exchange(second)
    with pytest.raises(SlackError, match="invalid_trigger_id"):
        tickets.exchange("1.2.3")


def test_a_response_url_is_five_uses_in_thirty_minutes() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    first, second = tickets.response_url("U0ADA", "C1"), tickets.response_url("U0ADA", "C1")
    for _ in range(5):
        tickets.use(first)
    with pytest.raises(SlackError, match="used_url"):
        tickets.use(first)
    clock.now += 1801
    with pytest.raises(SlackError, match="expired_url"):
        tickets.use(second)
