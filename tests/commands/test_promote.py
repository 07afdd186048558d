"""What may be promoted: one commit that runs everywhere."""

import pytest

from bot.adapters.records import Live
from bot.errors import Refused
from commands.promote import settled

ONE, OTHER = "1" * 40, "2" * 40


def test_one_commit_everywhere():
    assert settled("puppystream", (Live("a", ONE), Live("b", ONE))) == ONE


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ((), "it has no hosts"),
        ((Live("a", ONE), Live("b", OTHER)), f"{ONE} on a; {OTHER} on b"),
        ((Live("a", ONE), Live("b", "", "unreachable")), "unreachable on b"),
        ((Live("a", "", "unreachable"),), "unreachable on a"),
    ],
)
def test_anything_else_is_refused_with_where_it_stands(live, said):
    with pytest.raises(Refused, match="does not run one commit everywhere: ") as refused:
        settled("puppystream", live)
    assert said in refused.value.text and "deploy puppystream first" in refused.value.hint
