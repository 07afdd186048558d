"""`packlead run` and `packlead check`, as somebody on the machine types them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import Packlead
from tests.e2e.world import World
from tests.lab import config as lab_config
from tests.waiting import until

Commit = Callable[[], tuple[str, str]]


@pytest.fixture
def variant(world: World, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Write another packlead.toml, as the lab's but for `more`; with a database of its own."""

    def write(name: str, more: Mapping[str, Any]) -> dict[str, str]:
        folder = tmp_path / name
        folder.mkdir()
        hosts = lab_config.of_hosts(world.lab.machines)
        path = lab_config.write(
            folder / "packlead.toml",
            world.lab.repository,
            ["prod", "puppystream"],
            lab_config.merged(hosts, more),
        )
        return {**world.lab.env, "PACKLEAD_CONFIG": str(path)}

    return write


def test_a_deploy_without_a_bot(world: World, commit: Commit):
    branch, new = commit()
    world.bot.stop()
    env = world.lab.env
    Packlead(env, "run", f"deploy puppystream {branch}").ends(0).says(
        f"comes: {new} ({branch})",
        "live: ",
        "prepare",
        f"puppystreamweb1 serves {new[:7]}; it was out of puppystream-web for",
        f"puppystreamweb2 serves {new[:7]}",
        f"puppystream runs {new[:7]} on 2 hosts, release ",
        "of puppystreamweb1 is there",
    )
    world.hosts.run(new, "puppystream")


def test_ctrl_c_puts_back_what_was_begun(world: World, commit: Commit):
    branch, new = commit()
    world.bot.stop()
    before = world.hosts.commits("puppystream")
    deploy = Packlead(world.lab.env, "run", "deploy", "puppystream", branch)
    until(lambda: world.hosts.is_out("puppystreamweb1", "puppystream"), "it leaves the balancer")
    deploy.interrupt()
    deploy.ends(1).says(
        f"comes: {new} ({branch})", "ada asks to stop", "putting back what was begun",
        "cancelled by ada, it stands now at ",
    )  # fmt: skip
    assert world.hosts.commit("puppystreamweb2") == before["puppystreamweb2"]
    assert not world.hosts.is_out("puppystreamweb1", "puppystream")
    assert world.store.holder("puppystream") is None


def test_lines_that_the_running_bot_works_on(world: World):
    before = world.state()
    env = world.lab.env
    status = Packlead(env, "run", "status", "prod")
    help = Packlead(env, "run", "help deploy")
    unclear = Packlead(env, "run", "deploy prodd")
    unknown = Packlead(env, "run", "deploy prod mastr")
    status.ends(0).says("prodweb1", "prodmanager1", "healthy")
    help.ends(0).says("usage: deploy ENV [REF] [--only TYPE] [--dry-run]")
    unclear.ends(1).says('there is no environment "prodd"', 'did you mean "prod"?')
    unknown.ends(1).says('no branch, tag or commit "mastr"', 'did you mean "master"?')
    assert world.state() == before


def test_a_world_that_is_not_as_the_config_says(world: World, variant: Callable[..., Any]):
    before = world.state()
    group = {"environments": {"prod": {"balancers": {"web": {"target_group": "prod-wbe"}}}}}
    line = ("run", "deploy prod master")
    balancer = Packlead(variant("balancer", group), *line)
    without = {
        **variant("missing", {}), "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None,
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_CONFIG_FILE": "/dev/null",
    }  # fmt: skip
    missing = Packlead(without, *line)
    balancer.ends(1).says("prod-wbe")
    missing.ends(1).says("there are no AWS credentials here", "AWS_ACCESS_KEY_ID")
    assert world.state() == before


def test_check(world: World):
    env = world.lab.env
    well = Packlead(env, "check")
    closed = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    token = {"SLACK_BOT_TOKEN": "xoxb-of-somebody-else"}
    world.forgiven.add("invalid_auth")
    ill = Packlead({**env, **token, **closed, "PACKLEAD_DEPLOYS_SECRET": "short"}, "check")
    worker = Packlead({**env, "SLACK_BOT_TOKEN": None}, "check", "worker")
    web = Packlead({**env, **closed}, "check", "web")
    good = well.ends(0).says("AWS, prod: 1 celery, 1 manager, 2 web", "AWS, puppystream: 2 web")
    assert {line.split()[0] for line in good.out.splitlines()} == {"ok"}
    for part in ("config", "database", "schedule", "pages", "Slack", "repository"):
        assert f"ok     {part}: " in good.out
    ill.ends(1).says(
        "ok     repository: ",
        "wrong  pages: PACKLEAD_DEPLOYS_SECRET has 5 characters, and 16 are needed",
        "wrong  Slack: ", "invalid_auth",
        "wrong  AWS, prod: ", "AWS cannot be reached", "wrong  AWS, puppystream: ",
    )  # fmt: skip
    assert "xoxb-" not in ill.out + ill.errors
    assert "Slack" not in worker.ends(0).out, "a worker has no token"
    assert "AWS" not in web.ends(0).out, "a web process has no rights there"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])
