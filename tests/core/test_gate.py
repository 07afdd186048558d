"""The CI gate: what checks come to, as a pure decision."""

import pytest

from bot.adapters.records import Check
from bot.gate import judge


def checks(**states):
    return [Check(name, state, f"https://ci.example/{name}") for name, state in states.items()]


@pytest.mark.parametrize(
    ("told", "wanted", "state", "text"),
    [
        (checks(tests="ok", lint="ok"), (), "ok", "2 checks passed"),
        (checks(tests="ok", lint="failed"), ("tests",), "ok", "1 check passed"),
        (checks(tests="pending", lint="ok"), (), "pending", "tests still runs"),
        (checks(a="pending", b="pending"), (), "pending", "a and b still run"),
        (checks(), (), "unknown", "no check reported"),
        (checks(lint="ok"), ("tests",), "unknown", "tests did not report"),
        (checks(tests="failed", lint="pending"), (), "failed", "tests failed"),
        (checks(lint="failed"), ("tests", "lint"), "failed", "lint failed"),
    ],
)
def test_checks_come_to_a_verdict(told, wanted, state, text):
    verdict = judge(told, wanted)
    assert (verdict.state, verdict.text) == (state, text)


def test_of_two_checks_with_one_name_both_count():
    both = [Check("tests", "failed", "https://ci.example/1"), Check("tests", "ok")]
    assert judge(both, ("tests",)).state == judge(both[::-1], ("tests",)).state == "failed"


def test_what_failed_is_named_with_its_link():
    assert judge(checks(tests="failed"), ()).lines == ("tests: https://ci.example/tests",)
