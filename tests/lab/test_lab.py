"""The lab as a whole: what it says of itself is there, and nothing is left when it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bot.config_file import load
from tests.lab.address import FOLDER, claim
from tests.lab.lab import Lab
from tests.waiting import until

REPOSITORY = Path(__file__).resolve().parents[2]


def up(*words: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    line = [sys.executable, "-m", "tests.lab", "up", "--json", *words]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert process.stdout
    return process, json.loads(process.stdout.readline())


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    assert process.stdout
    process.stdout.close()
    return process.wait(30)


def processes(folder: str) -> list[str]:
    """The command lines of whatever still works in a folder."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_text().replace("\0", " "))
        except OSError:
            continue  # it ended meanwhile
    return [line for line in lines if folder in line]


@pytest.mark.lab
def test_the_whole_lab_serves_and_leaves_nothing() -> None:
    process, told = up()
    try:
        hosts = ["prodweb1", "prodweb2", "prodcelery1", "prodmanager1"]
        assert list(told["hosts"])[:4] == hosts
        for environment in "prod", "puppystream":
            with urllib.request.urlopen(f"{told['balancers'][environment]}/healthz") as answer:
                assert json.load(answer)["host"].startswith(f"{environment}web")
        refs = subprocess.check_output(["git", "ls-remote", told["repository"]], text=True)
        assert "refs/heads/master" in refs
        with urllib.request.urlopen(told["slack"]["page"]) as page:
            assert page.status == 200
        config = load(told["config"])
        assert list(config.environments) == ["prod", "puppystream"]
        assert config.app.repository == told["repository"]
        assert processes(told["folder"])
    finally:
        assert end(process) == 0
    assert not os.path.exists(told["folder"])
    assert not processes(told["folder"])


def test_one_part_alone_is_named_alone() -> None:
    process, told = up("--only", "slack")
    try:
        assert set(told["env"]) == {
            "PACKLEAD_CONFIG",
            "PORT",
            "SLACK_API_URL",
            "SLACK_BOT_TOKEN",
            "SLACK_APP_TOKEN",
        }
        assert (told["hosts"], told["balancers"], told["repository"]) == ({}, {}, "")
    finally:
        end(process)


def test_what_a_killed_lab_left_is_cleared_up_by_the_next() -> None:
    process, told = up("--only", "aws")
    assert os.path.exists(told["folder"])
    end(process, signal.SIGKILL)

    def is_gone() -> bool:  # by this claim, or by somebody else's who makes a lab just now
        claim().free()
        return not os.path.exists(told["folder"])

    until(is_gone)
    assert FOLDER in told["folder"]


def test_a_fleet_and_a_config_of_ones_own() -> None:
    fleet = {"prod": {"web": 3}, "crate": {"celery": 1}}
    web = {"batch": 2, "services": ["web", "nginx"]}
    with Lab({"aws"}, fleet=fleet, config={"types": {"web": web}}) as lab:
        assert list(lab.hosts) == ["prodweb1", "prodweb2", "prodweb3", "cratecelery1"]
        config = load(lab.config)
        assert (config.types["web"].batch, config.types["web"].minimum) == (2, 2)
        assert list(config.environments) == ["prod", "puppystream", "crate"]
        assert lab.aws.log == []


@pytest.mark.parametrize("parts", [{"hosts"}, {"balancer"}, {"sun"}])
def test_parts_that_make_no_lab(parts: set[str]) -> None:
    with pytest.raises(ValueError, match=r"start them together|no such part: sun"):
        Lab(parts)
