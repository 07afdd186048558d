"""Which instances come or go: a pure decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.aws.records import Fleet, Instance
from bot.command import Amount
from bot.config import HostType
from bot.errors import Refused
from bot.scaling import spread
from commands.scale import counts, decide

WEB = HostType(minimum=2, maximum=20)


def fleet(*numbers, **states):
    return Fleet(
        "prod",
        tuple(
            Instance(f"i-{n}", f"prodweb{n}", "prod", "web", f"10.0.0.{n}", state)
            for n, state in ((n, states.get(f"n{n}", "running")) for n in numbers)
        ),
    )  # fmt: skip


def test_the_lowest_free_numbers_come():
    assert decide(fleet(1, 2), "web", Amount(4), WEB).coming == ("prodweb3", "prodweb4")
    assert decide(fleet(1, 3), "web", Amount(4), WEB).coming == ("prodweb2", "prodweb4")
    assert decide(fleet(1, 2), "web", Amount(1, True), WEB).coming == ("prodweb3",)
    stopped = fleet(1, 2, 3, n3="stopped")
    assert decide(stopped, "web", Amount(3), WEB).coming == ("prodweb4",), "its name is taken"


def test_the_highest_numbers_go_and_never_the_master():
    going = decide(fleet(1, 2, 3, 4, 5), "web", Amount(3), WEB).going
    assert [i.name for i in going] == ["prodweb5", "prodweb4"]
    assert decide(fleet(1, 2), "web", Amount(2), WEB).going == ()
    assert [i.name for i in decide(fleet(3, 4, 7), "web", Amount(-1, True), WEB).going] == [
        "prodweb7"
    ]


@pytest.mark.parametrize("asked", [Amount(0), Amount(1), Amount(-5, True), Amount(-1, True)])
def test_never_under_the_minimum(asked):
    with pytest.raises(Refused, match="a minimum of 2"):
        decide(fleet(1, 2), "web", asked, WEB)


def test_never_over_the_maximum():
    with pytest.raises(Refused, match="a maximum of 20, 21 is above it"):
        decide(fleet(1, 2), "web", Amount(21), WEB)


def test_the_counts_can_be_said_again():
    assert counts(fleet(1, 2)) == ("scale prod web 2",)


def test_new_ones_go_where_the_fewest_are():
    assert spread(("web3",), ["a", "a"], "a") == (), "all to the master's"
    assert spread(("web3", "web4", "web5"), ["a", "b"], "b") == ("b", "a", "b")
    assert spread(("web4", "web5", "web6"), ["a", "a", "b"], "a") == ("b", "a", "b")
    assert spread(("web3",), ["", ""], "a") == (), "AWS does not say"


@given(st.sets(st.integers(1, 30), min_size=2, max_size=20), st.integers(2, 20))
def test_asked_n_gives_n(numbers, wanted):
    there = fleet(*numbers)
    change = decide(there, "web", Amount(wanted), WEB)
    assert len(numbers) + len(change.coming) - len(change.going) == wanted
    assert not {i.name for i in there.instances} & set(change.coming)
    assert min(numbers) not in {i.number for i in change.going}
