"""Leaving and joining balancers, of both kinds, as a roll does it."""

from __future__ import annotations

import pytest

from bot.adapters.aws.fleet import Aws
from bot.adapters.aws.records import Balancer, Instance, Target
from bot.errors import Failed, Refused
from tests.adapters.conftest import Clock
from tests.lab import aws as lab
from tests.lab.aws import PEEK

SERVED = ("healthy", "")


@pytest.fixture
def group(aws: Aws) -> Balancer:
    found = aws.balancer("prod", "web")
    assert found is not None
    return found


@pytest.fixture
def classic(aws: Aws) -> Balancer:
    found = aws.balancer("puppystream", "web")
    assert found is not None
    return found


def state(aws: Aws, balancer: Balancer, instance: Instance) -> str:
    return next((t.state for t in aws.targets(balancer) if t.instance == instance.id), "absent")


def test_a_target_group_is_found_by_the_configured_name(group: Balancer) -> None:
    assert (group.name, group.kind, group.port, group.health) == (
        "prod-web",
        "target_group",
        8000,
        "/healthz",
    )
    assert group.delay == 10
    assert group.id.startswith("arn:")


def test_a_classic_elb_is_found_by_the_configured_name(classic: Balancer) -> None:
    assert classic == Balancer("prod-classic", "classic", "prod-classic", 8000, "/healthz", 10)


def test_a_type_without_a_balancer_has_none(aws: Aws) -> None:
    assert aws.balancer("prod", "celery") is None
    assert aws.balancer("nowhere", "web") is None


@pytest.mark.parametrize(
    ("type", "what"), [("celery", "target group"), ("manager", "classic balancer")]
)
def test_an_unknown_name_is_told_with_its_place_in_the_config(
    aws: Aws, type: str, what: str
) -> None:
    key = f"environments.puppystream.balancers.{type}"
    with pytest.raises(Refused, match=f"{key}: there is no {what} 'mistyped'") as told:
        aws.balancer("puppystream", type)
    assert key in told.value.hint


def test_a_target_group_is_left_and_joined_again_while_it_drains(
    aws: Aws, group: Balancer, web1: Instance, cloud: lab.Aws, clock: Clock
) -> None:
    served = {i.instance: SERVED for i in aws.targets(group)}
    cloud.health = lambda _: served
    aws.leave(group, web1.id)
    aws.leave(group, web1.id)  # twice is as good as once
    assert state(aws, group, web1) == "healthy"  # it has not stopped sending
    served[web1.id] = ("draining", "")
    aws.wait_drained(group, web1.id, timeout=60, settle=0.25)
    assert clock.slept == [0.25]  # draining that is seen is enough
    assert state(aws, group, web1) == "draining"
    aws.join(group, web1.id)
    aws.join(group, web1.id)
    served[web1.id] = SERVED
    aws.wait_healthy(group, web1.id, timeout=60)
    assert state(aws, group, web1) == "healthy"


def test_a_balancer_that_goes_on_sending_is_told(
    aws: Aws, group: Balancer, web1: Instance, clock: Clock
) -> None:
    with pytest.raises(Failed) as told:
        aws.wait_drained(group, web1.id, timeout=300, settle=1, poll=5, host="prodweb1")
    assert told.value.text == "draining prodweb1: prod-web still says healthy after 300 s"
    assert clock.now == 300


def test_a_host_that_stays_unhealthy_is_told_with_its_reason(
    aws: Aws, group: Balancer, web1: Instance, cloud: lab.Aws
) -> None:
    cloud.health = lambda _: {web1.id: ("unhealthy", "Target.Timeout")}
    told = r"prodweb1 is healthy: prod-web says unhealthy \(Target.Timeout: .*\) after 60 s"
    with pytest.raises(Failed, match=told) as error:
        aws.wait_healthy(group, web1.id, timeout=60, poll=5, host="prodweb1")
    assert "/healthz" in error.value.hint


def test_a_wait_outlasts_throttling(
    aws: Aws,
    group: Balancer,
    web1: Instance,
    cloud: lab.Aws,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's pauses
    cloud.fault("DescribeTargetHealth", "throttle", times=8)
    aws.wait_healthy(group, web1.id, timeout=60)


def test_an_instance_that_was_never_in_is_absent(aws: Aws, group: Balancer) -> None:
    stranger = aws.fleet("prod").of("celery")[0]
    aws.leave(group, stranger.id)
    aws.wait_drained(group, stranger.id, timeout=1, settle=0)
    with pytest.raises(Failed, match="prod-web says absent after 1 s"):
        aws.wait_healthy(group, stranger.id, timeout=1)


def test_a_port_of_its_own_is_refused_before_anything_is_changed(
    aws: Aws, group: Balancer, cloud: lab.Aws
) -> None:
    guest = aws.fleet("prod").of("manager")[0]
    elb = cloud.client("elbv2")
    targets = [{"Id": guest.id, "Port": 9000}]
    elb.register_targets(TargetGroupArn=group.id, Targets=targets)
    try:
        with pytest.raises(Refused, match="port 9000 instead of 8000"):
            aws.leave(group, guest.id)
    finally:
        elb.deregister_targets(TargetGroupArn=group.id, Targets=targets)


def test_a_classic_elb_is_left_and_joined_alike(
    aws: Aws, classic: Balancer, web1: Instance, cloud: lab.Aws
) -> None:
    served = {web1.id: SERVED}
    cloud.health = lambda _: served
    assert aws.targets(classic) == ()
    aws.leave(classic, web1.id)  # it is not in, and that is fine
    aws.join(classic, web1.id)
    aws.join(classic, web1.id)
    aws.wait_healthy(classic, web1.id, timeout=60)
    assert aws.targets(classic) == (Target(web1.id, "healthy"),)
    served.clear()
    aws.leave(classic, web1.id)
    aws.wait_drained(classic, web1.id, timeout=60, settle=0)


def test_a_classic_elb_tells_who_stays_unhealthy(
    aws: Aws, classic: Balancer, web1: Instance, cloud: lab.Aws
) -> None:
    cloud.health = lambda _: {web1.id: ("unhealthy", "")}
    aws.join(classic, web1.id)
    try:
        with pytest.raises(Failed, match=r"prod-classic says \w+ \(.*\) after 9 s"):
            aws.wait_healthy(classic, web1.id, timeout=9)
    finally:
        aws.leave(classic, web1.id)


def test_a_balancer_is_found_by_kind_and_name_alone(aws: Aws, group: Balancer) -> None:
    assert aws.balancer_named("target_group", "prod-web") == group
    with pytest.raises(Refused, match="'mistyped'"):
        aws.balancer_named("classic", "mistyped")


def test_a_network_load_balancers_group_is_refused(aws: Aws, cloud: lab.Aws) -> None:
    elb = cloud.client("elbv2", PEEK)
    [like] = elb.describe_target_groups(Names=["prod-web"])["TargetGroups"]
    made = elb.create_target_group(
        Name="raw", Protocol="TCP", Port=8000, VpcId=like["VpcId"], TargetType="instance"
    )["TargetGroups"][0]["TargetGroupArn"]
    with pytest.raises(Refused, match="speaks TCP, so it is a network load balancer's"):
        aws.balancer_named("target_group", "raw")
    elb.delete_target_group(TargetGroupArn=made)


@pytest.mark.parametrize("kind", ["error", "cut"])
def test_a_wait_outlasts_whatever_passes(
    aws: Aws,
    group: Balancer,
    web1: Instance,
    cloud: lab.Aws,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's pauses
    fault = cloud.fault("DescribeTargetHealth", kind, times=7)  # more than botocore tries
    aws.wait_healthy(group, web1.id, timeout=60)
    assert fault.hits == 7
