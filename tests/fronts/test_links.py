"""Links open what they say, for as long as they say, and nobody else makes them."""

import re

import pytest

from bot.errors import Misconfigured
from bot.links import LIFE, Links

KEY = b"k" * 40
NOW = 1_790_000_000.0


def links(key: bytes = KEY, url: str = "https://packlead.example.org/", now: float = NOW) -> Links:
    return Links(key, url, lambda: now)


def pass_of(link: str) -> str:
    return link.partition("pass=")[2]


def test_a_link_to_the_board_opens_the_environments_it_was_made_for():
    link = links().board(["puppystream", "prod"])
    assert link.startswith("https://packlead.example.org/?pass=")
    seen = links().read(pass_of(link))
    assert seen and seen.environments == {"prod", "puppystream"} and seen.expires == NOW + LIFE
    assert seen.opens(7, "prod") and not seen.opens(7, "puppycrate") and not seen.opens(7, "")
    everything = links().read(pass_of(links().board()))
    assert everything and everything.environments is None and everything.opens(7, "")


def test_a_link_to_a_log_opens_that_log_alone_and_stays_the_same():
    link = links().log(12, NOW - 60)
    assert link == links(now=NOW + 30).log(12, NOW - 60)
    seen = links().read(pass_of(link))
    assert seen and seen.alone and seen.opens(12, "prod") and not seen.opens(1, "prod")


@pytest.mark.parametrize("place", range(-43, -1, 6))
def test_what_is_changed_is_not_ours(place: int):
    given = pass_of(links().board(["prod"]))
    other = "A" if given[place] != "A" else "B"
    assert links().read(given[:place] + other + given[place + 1 :]) is None


def test_nothing_else_in_it_may_change_either():
    given = pass_of(links().board(["prod"]))
    for wrong in (
        given.replace(".prod.", ".all."), given.replace(".prod.", ".prod+x."), "9" + given[1:],
        given + "=", given[:-1], "", "x" * 5000, given.replace(".", "\n"),
    ):  # fmt: skip
        assert links().read(wrong) is None, wrong
    assert links(key=b"l" * 40).read(given) is None
    assert Links(b"", "").read(given) is None


def test_no_link_without_an_address_a_key_or_anything_to_see():
    assert links(url="").board() == links(key=b"").board() == links().board([]) == ""
    assert links(url="").read(pass_of(links().board())), "links of a while ago stay good"
    with pytest.raises(Misconfigured, match="PACKLEAD_URL"):
        links(url="packlead.example.org")


def test_the_command_gives_each_the_link_that_is_theirs(config, known, tmp_path):
    from bot.dispatcher import Dispatcher, Request
    from bot.people import Who
    from bot.store import Store

    told = config.model_copy(update={"url": "https://packlead.example.org"})
    store = Store(f"sqlite:///{tmp_path / 'keyed.db'}", key=KEY)

    def say(user: str, where=told) -> str:
        dispatcher = Dispatcher(where, known, store)
        return dispatcher.ask(Request(user, "board", Who("slack", user, "T0LAB"), {})).text

    def scope(said: str) -> str:
        (found,) = re.findall(r"pass=(\S+)", said)
        seen = Links(KEY, "").read(found)
        assert seen
        return seen.scope

    assert scope(say("U0ADA")) == "all"
    assert scope(say("U0BOB")) == "puppystream"
    assert "may not status" in say("U0EVE")
    assert "no address" in say("U0ADA", config)
    assert store.history() == [], "a link leaves no trace in the database"
    store.close()
