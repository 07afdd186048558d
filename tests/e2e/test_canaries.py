"""A value that should be nowhere is planted in each place, and the search tells of it there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slack_sdk import WebClient

from tests.e2e.canaries import Probe, Watch, everywhere, found, heart, own_secrets, swept
from tests.e2e.world import World
from tests.lab.hosts.disk import KEYS
from tests.waiting import until

WAITS = [sys.executable, "-c", "import sys; sys.stdin.read()"]


@contextlib.contextmanager
def written(path: Path, text: str) -> Iterator[str]:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    yield str(path)
    path.unlink()


def in_the_data(world: World, text: str) -> contextlib.AbstractContextManager[str]:
    return written(world.runs.parent / "planted", text)


@contextlib.contextmanager
def in_memory(world: World, text: str) -> Iterator[str]:
    folder = Path(f"/dev/shm/packlead-planted-{os.getpid()}")
    with written(folder / "file", text) as place:
        yield place
    shutil.rmtree(folder)


@contextlib.contextmanager
def in_the_database(world: World, text: str) -> Iterator[str]:
    world.store.keep_note("planted", "planted", {"text": text})
    yield "packlead.db"


@contextlib.contextmanager
def in_the_log(world: World, text: str) -> Iterator[str]:
    with world.bot.log.open("a") as log:
        log.write(f"{text}\n")
    yield str(world.bot.log)


@contextlib.contextmanager
def in_slack(world: World, text: str) -> Iterator[str]:
    slack(world).chat_postMessage(channel="C0OPS", text=text)
    yield "what Slack shows"


@contextlib.contextmanager
def in_private(world: World, text: str) -> Iterator[str]:
    slack(world).chat_postEphemeral(channel="C0OPS", user="U0BOB", text=text)
    yield "what U0BOB is told"


def slack(world: World) -> WebClient:
    return WebClient(token=world.lab.slack.bot_token, base_url=world.lab.slack.api_url)


PLACES = (in_the_data, in_memory, in_the_database, in_the_log, in_slack, in_private)


@pytest.mark.parametrize("plant", PLACES)
def test_a_value_is_found(world: World, plant: Callable[..., contextlib.AbstractContextManager]):
    word = f"canary{PLACES.index(plant):02}x0f1e2d3c4b5a6978"
    value = f"'{word}\"\nsecond line"
    assert not found(world, [value])
    with plant(world, f"so it is {word!r}") as place:
        told = found(world, [value])
    assert [line for line in told if line.startswith(f"{word} in ") and place in line], told


def test_a_secret_of_packleads_own_is_found(world: World):
    secrets = own_secrets(world)
    assert not swept(world, secrets)
    with in_the_data(world, " ".join(secret.decode() for secret in secrets)) as place:
        told = [f"{secret.decode()} in {place}" for secret in secrets]
        assert len(told) == 7 and swept(world, secrets) == told


def test_a_value_is_seen_in_a_process_and_in_memory(world: World):
    values = [f"canary{n}x0f1e2d3c4b5a6978" for n in (20, 21, 22)]
    argv, environ, memory = map(heart, values)
    with (
        Watch([argv, environ, memory]) as watch,
        subprocess.Popen([*WAITS, values[0]], stdin=subprocess.PIPE) as one,
        subprocess.Popen(WAITS, stdin=subprocess.PIPE, env={"KEY": values[1]}) as other,
        in_memory(world, values[2]) as file,
    ):
        told = (f"{values[0]} in process {one.pid} ", f"{values[1]} in process {other.pid} ",
                f"{values[2]} in {file}")  # fmt: skip
        until(
            lambda: all(any(line.startswith(each) for line in watch.seen) for each in told),
            lambda: f"{told} are seen, and not only {watch.seen}",
        )
        for process in (one, other):
            process.communicate()


def test_a_key_that_one_host_has_otherwise_is_told(world: World):
    key, value = next(iter(KEYS.items()))
    everywhere(world, "prod", key, value)
    file = world.lab.machines.host("prodweb2").srv / "app/shared/env"
    kept = file.read_text()
    for text, mode in ((kept, 0o644), (f"{kept}{key}=another\n", 0o600)):
        file.write_text(text)
        file.chmod(mode)
        with pytest.raises(AssertionError, match="prodweb2"):
            everywhere(world, "prod", key, value)
    file.write_text(kept)
    everywhere(world, "prod", key, value)
    # On the disks a new value may be while processes have the one before.
    files = [world.lab.machines.host(n).srv / "app/shared/env" for n in world.hosts.names("prod")]
    for each in files:
        each.write_text(f"{kept}{key}=another\n")
    with pytest.raises(AssertionError, match="prodweb1"):
        everywhere(world, "prod", key, "another")
    for each in files:
        each.write_text(kept)


def test_a_login_tells_which_key_it_met_and_that_nobody_answered(world: World):
    key, value = next(iter(KEYS.items()))
    with Probe(world, "prod", key) as probe:
        until(lambda: probe.asked > 2)
    assert probe.seen == {hashlib.sha256(value.encode()).hexdigest()} and not probe.wrong
    for url, unknown in ((world.lab.balancers["prod"], "NO_SUCH_KEY"), ("http://127.0.0.1:1", key)):
        probe = Probe(world, "prod", unknown)
        probe.url = url
        with probe:
            until(lambda probe=probe: probe.wrong)
        assert not probe.seen
