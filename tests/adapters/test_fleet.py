"""Fleets by tags, and what is said when AWS does not answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bot.adapters.aws.fleet import Aws
from bot.config import Config
from bot.errors import BotError, Failed, Refused
from tests.adapters.conftest import Clock
from tests.lab import aws as lab


def test_a_fleet_is_listed_by_type_and_number(aws: Aws) -> None:
    prod = aws.fleet("prod")
    names = [i.name for i in prod.instances]
    assert names == ["prodcelery1", "prodmanager1", "prodweb1", "prodweb2"]
    assert {i.environment for i in prod.instances} == {"prod"}
    assert all(i.address.startswith("127.") and i.state == "running" for i in prod.instances)
    master = prod.master("web")
    assert master is not None
    assert master.name == "prodweb1"


def test_ten_comes_after_two_and_strangers_are_left_out(aws: Aws, cloud: lab.Aws) -> None:
    ec2 = cloud.client("ec2")
    ids = [
        ec2.run_instances(
            ImageId=cloud.base_image,
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": k, "Value": v} for k, v in tags.items()],
                }
            ],
        )["Instances"][0]["InstanceId"]
        for tags in (
            {"Env": "order", "Type": "web", "Name": "orderweb10"},
            {"Env": "order", "Type": "web", "Name": "orderweb2"},
            {"Env": "order", "Type": "web", "Name": "orderweb1"},
            {"Env": "order", "Type": "web"},
            {"Env": "order", "Name": "bastion"},
        )
    ]
    try:
        ec2.stop_instances(InstanceIds=ids[:1])
        ec2.terminate_instances(InstanceIds=ids[2:3])
        found = aws.fleet("order").instances
        assert [(i.name, i.state) for i in found] == [
            ("orderweb2", "running"),
            ("orderweb10", "stopped"),
        ]
    finally:
        ec2.terminate_instances(InstanceIds=ids)


def test_an_environment_without_instances_is_an_empty_fleet(aws: Aws) -> None:
    assert aws.fleet("nowhere").instances == ()


def test_throttling_that_passes_is_not_noticed(aws: Aws, cloud: lab.Aws) -> None:
    cloud.fault("DescribeInstances", "throttle", times=2)
    assert len(aws.fleet("prod").instances) == 4


DOING = "asking AWS for the instances of prod"


def test_throttling_that_stays_is_told(
    aws: Aws, cloud: lab.Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's pauses
    cloud.fault("DescribeInstances", "throttle", times=100)
    with pytest.raises(Failed, match=f"{DOING}: AWS asks to slow down"):
        aws.fleet("prod")


@pytest.mark.parametrize(
    ("env", "kind", "text"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIAEXPIRED"}, Refused, "the AWS credentials have expired"),
        ({"AWS_ACCESS_KEY_ID": "AKIAINVALID"}, Refused, "AWS does not know these credentials"),
        ({"AWS_ACCESS_KEY_ID": ""}, Refused, "there are no AWS credentials here"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, Refused, "there are no AWS credentials here"),
        ({"AWS_PROFILE": "nobody"}, Refused, "The config profile .nobody. could not be found"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, Failed, "AWS cannot be reached"),
    ],
)
def test_a_closed_door_is_one_clear_sentence(
    aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
    env: dict[str, str],
    kind: type[BotError],
    text: str,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's pauses
    for name, value in env.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    with pytest.raises(kind, match=f"^{DOING}: {text}") as told:
        aws.fleet("prod")
    assert told.value.hint
    assert "\n" not in told.value.text


def test_what_is_not_allowed_is_named(aws: Aws, cloud: lab.Aws) -> None:
    cloud.fault("DescribeInstances", "error", code="UnauthorizedOperation", status=403)
    with pytest.raises(Refused, match="AWS does not allow ec2:DescribeInstances"):
        aws.fleet("prod")


def test_renewed_credentials_are_taken_without_a_restart(
    cloud: lab.Aws, config: Config, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = cloud.env["AWS_ACCESS_KEY_ID"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXPIRED")
    aws = Aws(config, sleep=clock.sleep, clock=clock)
    with pytest.raises(Refused):
        aws.fleet("prod")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", good)
    assert len(aws.fleet("prod").instances) == 4


def test_boto3_is_not_imported_before_it_is_used() -> None:
    code = (
        "import sys; from bot.adapters.aws.fleet import Aws\n"
        "from types import SimpleNamespace as N\n"
        "Aws(N(aws=N(region='us-east-1'))); sys.exit('boto3' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_credentials_that_expire_between_two_calls_are_read_anew(
    cloud: lab.Aws, config: Config, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever renews them (a role, a session of SSO) is a moment late; the call did nothing."""
    good = cloud.env["AWS_ACCESS_KEY_ID"]

    def renewed(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now > 1:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", good)

    aws = Aws(config, sleep=renewed, clock=clock)
    master = aws.fleet("prod").of("web")[0]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXPIRED")
    aws._forget()
    before = cloud.actions("CreateImage")
    aws.image(master, "expired-between", {})
    tried = cloud.actions("CreateImage") - before
    assert tried == 1 and clock.slept[:2] == [0.2, 1.0]


def test_one_call_that_is_turned_away_is_not_noticed(
    aws: Aws, cloud: lab.Aws, clock: Clock
) -> None:
    cloud.fault("DescribeInstances", "expired")
    assert len(aws.fleet("prod").instances) == 4
    assert clock.slept == [0.2]
