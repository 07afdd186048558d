"""The application's keys in both stores: versions, each put once, and never a value in a word."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import get_type_hints

import pytest
from pydantic import TypeAdapter

from bot.adapters.aws.secrets import Secrets
from bot.config import Config
from bot.errors import BotError, Failed, Refused
from bot.rotation import before
from tests.lab import aws as lab
from tests.waiting import until

NUMBERS = count()
KEY = b"a key of the house, long enough for anybody"
ODD = (
    "plain",
    "{{ lookup('pipe', 'id') }}",
    "{{ssm:/other}}",
    "two\nlines\n",
    "$(id) `id` ${HOME}",
    "-leading",
    " both ends ",
    "'\"\\\\\"'",
    "#=#",
    "schlüssel 🔑",
    "x" * 4096,
)


class Typed(dict[str, str]):
    """What people have typed, by operation."""

    def unseal(self, operation: str) -> str | None:
        return self.get(operation)


@pytest.fixture
def typed() -> Typed:
    return Typed()


@pytest.fixture(params=["ssm", "secretsmanager"])
def keys(request: pytest.FixtureRequest, cloud: lab.Aws, typed: Typed) -> Secrets:
    place = f"kennel-{next(NUMBERS)}"  # one AWS for all tests: each has a path of its own
    return Secrets(config(request.param, place), KEY, typed.unseal)


def config(store: str, name: str) -> Config:
    return Config.model_validate(
        {
            "app": {"name": name, "repository": "https://example.org/kennel.git"},
            "types": {"web": {}},
            "environments": {"prod": {"channel": "C0PROD"}, "qa": {"channel": "C0QA"}},
            "secrets": {"store": store},
        }
    )


def put(keys: Secrets, typed: Typed, name: str, value: str, operation: str) -> int:
    typed[operation] = value
    return keys.put("prod", name, operation, "ada").version


def test_a_key_has_versions(keys: Secrets, typed: Typed):
    assert keys.keys("prod") == ()
    assert keys.versions("prod", "TWITTER_KEY") == ()
    assert put(keys, typed, "TWITTER_KEY", "first", "op 1") == 1
    assert put(keys, typed, "TWITTER_KEY", "second", "op 2") == 2
    assert put(keys, typed, "MAIL_KEY", "post", "op 3") == 1
    listed = keys.keys("prod")
    assert [(one.name, one.version, one.by) for one in listed] == [
        ("MAIL_KEY", 1, "ada"),
        ("TWITTER_KEY", 2, "ada"),
    ]
    first, second = keys.versions("prod", "TWITTER_KEY")
    assert (first.version, second.version) == (1, 2)
    assert first.fingerprint == keys.fingerprint("first") != second.fingerprint
    assert second.at >= first.at > 1_000_000_000
    assert keys.value("prod", "TWITTER_KEY", 1) == "first"
    assert keys.value("prod", "TWITTER_KEY", 2) == "second"
    assert keys.keys("qa") == ()


def test_an_operation_puts_once(keys: Secrets, typed: Typed):
    first = keys.put("prod", "TOKEN", "op 1", "ada", generate=True)
    value = keys.value("prod", "TOKEN", 1)
    again = keys.put("prod", "TOKEN", "op 1", "ada", generate=True)
    assert (again.version, again.fingerprint) == (first.version, first.fingerprint) != (1, "")
    assert len(keys.versions("prod", "TOKEN")) == 1
    assert len(value) >= 40
    assert keys.value("prod", "TOKEN", 1) == value


@pytest.mark.parametrize("kind", ["lost", "error"])
def test_a_call_that_went_wrong_makes_no_second_version(
    keys: Secrets, typed: Typed, cloud: lab.Aws, kind: str
):
    put(keys, typed, "TOKEN", "first", "op 1")
    for action in ("PutParameter", "PutSecretValue"):
        cloud.fault(action, kind)
    assert put(keys, typed, "TOKEN", "second", "op 2") == 2
    assert [one.version for one in keys.versions("prod", "TOKEN")] == [1, 2]
    cloud.faults.clear()


def test_what_aws_does_late_of_a_dead_bot_is_the_same_version_again(
    keys: Secrets, typed: Typed, cloud: lab.Aws
):
    put(keys, typed, "TOKEN", "first", "op 1")
    typed["op 2"] = "second"
    late = [cloud.fault(action, "slow", seconds=2) for action in ("PutParameter", "PutSecretValue")]
    with ThreadPoolExecutor(1) as dead:  # whose answer nobody reads
        done = dead.submit(keys.put, "prod", "TOKEN", "op 2", "ada")
        until(lambda: any(fault.hits for fault in late), "it is asked for")
        assert keys.put("prod", "TOKEN", "op 2", "ada").version == 2
        done.result()
    cloud.faults.clear()
    found = keys.versions("prod", "TOKEN")
    assert {one.root for one in found[1:]} == {2}, "the store may have it twice, and it is told"
    assert before(found, "TOKEN").version == 1, "undoing leads to another value"
    further = keys.again("prod", "TOKEN", found[-1].version, "op 3", "ada")
    assert (further.root, keys.value("prod", "TOKEN", further.version)) == (2, "second")


def test_the_version_before_comes_back_as_a_new_one(keys: Secrets, typed: Typed):
    put(keys, typed, "TOKEN", "first", "op 1")
    put(keys, typed, "TOKEN", "second", "op 2")
    back = keys.again("prod", "TOKEN", 1, "op 3", "bob")
    same = keys.again("prod", "TOKEN", 1, "op 3", "bob")
    assert (back.version, back.again, back.by) == (3, 1, "bob")
    assert same.version == 3
    assert keys.value("prod", "TOKEN", 3) == "first"
    further = keys.again("prod", "TOKEN", 3, "op 4", "bob")
    assert further.root == 1, "it is the first one again, and not the third"


@pytest.mark.parametrize("value", ODD, ids=lambda v: v[:12].strip())
def test_every_byte_comes_back(keys: Secrets, typed: Typed, value: str):
    version = put(keys, typed, "ODD", value, f"op {value[:20]}")
    assert keys.value("prod", "ODD", version) == value


def test_many_keys_and_many_versions_are_all_found(keys: Secrets, typed: Typed):
    for number in range(60):
        put(keys, typed, f"KEY_{number:02}", "x", f"op {number}")
    for number in range(18):
        put(keys, typed, "KEY_00", f"value {number}", f"more {number}")
    assert len(keys.keys("prod")) == 60
    found = keys.versions("prod", "KEY_00")
    assert found[-1].version == 19
    assert [one.version for one in found] == list(range(20 - len(found), 20))
    assert len(found) >= 15
    assert keys.value("prod", "KEY_00", 18) == "value 16"


def test_a_key_is_taken_away_and_made_anew(keys: Secrets, typed: Typed):
    put(keys, typed, "TOKEN", "first", "op 1")
    keys.remove("prod", "TOKEN")
    keys.remove("prod", "TOKEN")
    assert keys.keys("prod") == ()
    version = put(keys, typed, "TOKEN", "anew", "op 2")
    assert keys.value("prod", "TOKEN", version) == "anew"


def test_what_goes_wrong_never_holds_the_value(keys: Secrets, typed: Typed, cloud: lab.Aws):
    put(keys, typed, "TOKEN", "first", "op 1")
    canary = "canary-3141592653589793"
    for action in ("PutParameter", "PutSecretValue"):
        message = f"Value '{canary}' at 'value' failed to satisfy constraint"
        cloud.fault(action, "error", code="ValidationException", message=message, status=400)
    with pytest.raises(BotError) as wrong:
        put(keys, typed, "TOKEN", canary, "op 2")
    cloud.faults.clear()
    assert "ValidationException" in str(wrong.value)
    assert canary not in str(wrong.value)
    assert wrong.value.__suppress_context__
    with pytest.raises(Refused, match="bytes, the store takes") as long:
        put(keys, typed, "TOKEN", canary * 4000, "op 3")
    assert canary not in str(long.value)
    with pytest.raises(Failed, match="is not kept any more"):
        keys.put("prod", "TOKEN", "op 4", "ada")
    assert keys.versions("prod", "TOKEN")[-1].version == 1


def test_what_commands_get_can_be_written_down(keys: Secrets, typed: Typed):
    put(keys, typed, "TOKEN", "canary-2718281828", "op 1")
    for verb, answer in (
        ("keys", keys.keys("prod")),
        ("versions", keys.versions("prod", "TOKEN")),
        ("put", keys.put("prod", "TOKEN", "op 1", "ada")),
    ):
        kind = TypeAdapter(get_type_hints(getattr(Secrets, verb))["return"])
        written = kind.dump_json(answer)
        assert b"canary" not in written
        assert kind.validate_json(written) == answer
