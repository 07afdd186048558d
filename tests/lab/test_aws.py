"""The lab's AWS, where it differs from moto: what was asked, and what AWS would answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab import fleet
from tests.lab.address import claim
from tests.lab.aws import Aws
from tests.waiting import until


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Aws, str]]:
    place = claim()
    with Aws(place.services, tmp_path_factory.mktemp("aws")) as aws:
        fleet.seed(aws, place.subnet)
        yield aws, place.prefix
    place.free()


@pytest.fixture
def aws(world: tuple[Aws, str]) -> Iterator[Aws]:
    aws, _ = world
    aws.log.clear()
    yield aws
    aws.faults.clear()
    aws.health, aws.capacity, aws.consistency, aws.image_delay = None, None, 0, 0.5


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def instances(aws: Aws, environment: str) -> dict[str, dict[str, Any]]:
    pages = aws.client("ec2").get_paginator("describe_instances")
    filters = [
        {"Name": "tag:Env", "Values": [environment]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    rows = pages.paginate(Filters=filters).search("Reservations[].Instances[]")
    return {tag["Value"]: i for i in rows for tag in i["Tags"] if tag["Key"] == "Name"}


def group(aws: Aws, name: str) -> str:
    groups = aws.client("elbv2").describe_target_groups(Names=[name])["TargetGroups"]
    return str(groups[0]["TargetGroupArn"])


def health(aws: Aws, arn: str, *ids: str) -> dict[str, str]:
    asked = {"Targets": [{"Id": id} for id in ids]} if ids else {}
    rows = aws.client("elbv2").describe_target_health(TargetGroupArn=arn, **asked)
    return {r["Target"]["Id"]: r["TargetHealth"]["State"] for r in rows["TargetHealthDescriptions"]}


def launch(aws: Aws, environment: str = "test", **more: Any) -> list[str]:
    request = {"ImageId": aws.base_image, "MinCount": 1, "MaxCount": 1} | more
    tags = [{"Key": "Env", "Value": environment}, {"Key": "Name", "Value": f"{environment}web1"}]
    request["TagSpecifications"] = [{"ResourceType": "instance", "Tags": tags}]
    return [i["InstanceId"] for i in aws.client("ec2").run_instances(**request)["Instances"]]


def terminate(aws: Aws, *ids: str) -> None:
    aws.client("ec2").terminate_instances(InstanceIds=list(ids))


def test_the_fleet_stands_in_the_subnet_of_the_lab(world: tuple[Aws, str]) -> None:
    aws, prefix = world
    prod = instances(aws, "prod")
    assert list(prod) == ["prodweb1", "prodweb2", "prodcelery1", "prodmanager1"]
    assert [i["PrivateIpAddress"] for i in prod.values()] == [f"{prefix}.{n}" for n in (4, 5, 6, 7)]
    assert list(instances(aws, "puppystream")) == ["puppystreamweb1", "puppystreamweb2"]
    assert prod["prodweb1"]["MetadataOptions"]["HttpTokens"] == "required"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target is initial for longer than a busy machine takes to look at it."""
    for module in ("health", "classic"):
        monkeypatch.setattr(f"tests.lab.aws.{module}.INITIAL", 3.0)


@pytest.mark.usefixtures("patient")
def test_a_target_is_initial_healthy_draining_and_gone(aws: Aws) -> None:
    arn, web1 = group(aws, "prod-web"), instances(aws, "prod")["prodweb1"]["InstanceId"]
    elb = aws.client("elbv2")
    delay = "deregistration_delay.timeout_seconds"
    elb.modify_target_group_attributes(
        TargetGroupArn=arn, Attributes=[{"Key": delay, "Value": "3"}]
    )
    until(lambda: set(health(aws, arn).values()) == {"healthy"})
    elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": web1}])
    assert health(aws, arn)[web1] == "draining"
    until(lambda: web1 not in health(aws, arn))
    assert health(aws, arn, web1) == {web1: "unused"}
    elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": web1}])  # again: AWS says yes
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": web1}])
    assert health(aws, arn, web1) == {web1: "initial"}
    until(lambda: health(aws, arn, web1) == {web1: "healthy"})
    elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": web1}])
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": web1}])
    assert health(aws, arn)[web1] == "initial"
    elb.modify_target_group_attributes(
        TargetGroupArn=arn, Attributes=[{"Key": delay, "Value": str(fleet.DELAY)}]
    )


def test_the_balancer_is_believed_and_draining_only_when_it_has_stopped(aws: Aws) -> None:
    arn, web = group(aws, "prod-web"), instances(aws, "prod")
    one, two = (web[name]["InstanceId"] for name in ("prodweb1", "prodweb2"))
    seen = {one: ("healthy", ""), two: ("unhealthy", "Target.Timeout")}
    aws.health = lambda group: seen
    assert health(aws, arn) == {one: "healthy", two: "unhealthy"}
    targets = [{"Id": one}]
    aws.client("elbv2").deregister_targets(TargetGroupArn=arn, Targets=targets)
    assert health(aws, arn, one) == {one: "healthy"}
    seen[one] = ("draining", "")
    assert health(aws, arn, one) == {one: "draining"}
    aws.client("elbv2").register_targets(TargetGroupArn=arn, Targets=targets)
    assert health(aws, arn, one) == {one: "initial"}
    seen[one] = ("healthy", "")
    assert health(aws, arn, one) == {one: "healthy"}


def test_a_group_without_a_load_balancer_is_not_in_use(aws: Aws) -> None:
    elb, web1 = aws.client("elbv2"), instances(aws, "prod")["prodweb1"]
    arn = elb.create_target_group(Name="alone", Protocol="HTTP", Port=8000, VpcId=web1["VpcId"])[
        "TargetGroups"
    ][0]["TargetGroupArn"]
    targets = [{"Id": web1["InstanceId"]}]
    elb.register_targets(TargetGroupArn=arn, Targets=targets)
    assert health(aws, arn) == {web1["InstanceId"]: "unused"}
    elb.deregister_targets(TargetGroupArn=arn, Targets=targets)
    assert health(aws, arn) == {}
    code = refused(lambda: elb.describe_target_health(TargetGroupArn=arn[:-3]))
    assert code == "TargetGroupNotFound"
    stranger = {"TargetGroupArn": arn, "Targets": [{"Id": "i-0123456789abcdef0"}]}
    assert refused(lambda: elb.register_targets(**stranger)) == "InvalidTarget"
    elb.delete_target_group(TargetGroupArn=arn)


def test_a_terminated_instance_leaves_its_group(aws: Aws) -> None:
    arn, [id] = group(aws, "puppystream-web"), launch(aws)
    aws.client("elbv2").register_targets(TargetGroupArn=arn, Targets=[{"Id": id}])
    terminate(aws, id)
    assert health(aws, arn)[id] == "draining"


@pytest.mark.usefixtures("patient")
def test_a_classic_balancer(aws: Aws) -> None:
    elb, name = aws.client("elb"), fleet.CLASSIC
    one = {"InstanceId": instances(aws, "prod")["prodweb1"]["InstanceId"]}

    def row(**asked: Any) -> str:
        rows = elb.describe_instance_health(LoadBalancerName=name, **asked)["InstanceStates"]
        return " ".join(f"{r['State']} {r['Description']}" for r in rows)

    assert refused(lambda: row(Instances=[one])) == "InvalidInstance"
    for _ in range(2):
        told = elb.register_instances_with_load_balancer(LoadBalancerName=name, Instances=[one])
        assert told["Instances"] == [one]
    assert row() == "OutOfService Instance registration is still in progress."
    until(lambda: row() == "InService N/A")
    told = elb.deregister_instances_from_load_balancer(LoadBalancerName=name, Instances=[one])
    assert told["Instances"] == []
    assert row(Instances=[one]) == "InService Instance deregistration currently in progress."
    stranger = [{"InstanceId": "i-0123456789abcdef0"}]
    wrong = {"LoadBalancerName": name, "Instances": stranger}
    assert refused(lambda: elb.register_instances_with_load_balancer(**wrong)) == "InvalidInstance"


def test_one_client_token_launches_once_also_when_the_answer_is_lost(aws: Aws) -> None:
    aws.fault("RunInstances", "lost")
    [id] = launch(aws, ClientToken="operation-7")  # botocore tries again by itself
    assert aws.actions("RunInstances") == 2
    with ThreadPoolExecutor(4) as pool:
        again = pool.map(lambda _: launch(aws, ClientToken="operation-7"), range(4))
    assert [id] == list({id for ids in again for id in ids})
    assert [i["InstanceId"] for i in instances(aws, "test").values()] == [id]
    other = {"ClientToken": "operation-7", "InstanceType": "t3.large"}
    assert refused(lambda: launch(aws, **other)) == "IdempotentParameterMismatch"
    terminate(aws, id)


def test_capacity_ends_and_new_ids_are_not_found_for_a_while(aws: Aws) -> None:
    aws.capacity = 2
    few = refused(lambda: launch(aws, MinCount=3, MaxCount=3))
    assert few == "InsufficientInstanceCapacity"
    aws.consistency = 3
    ids = launch(aws, MinCount=1, MaxCount=3)
    assert len(ids) == 2
    ec2 = aws.client("ec2")
    missing = refused(lambda: ec2.describe_instances(InstanceIds=ids))
    assert missing == "InvalidInstanceID.NotFound"
    assert instances(aws, "test") == {}
    until(lambda: len(instances(aws, "test")) == 1)  # one name for both
    assert len(ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"]) == 2
    terminate(aws, *ids)


def test_an_image_is_pending_then_available_with_tagged_snapshots(aws: Aws) -> None:
    aws.image_delay = 3
    ec2, web1 = aws.client("ec2"), instances(aws, "prod")["prodweb1"]["InstanceId"]
    tags = [{"Key": "Master", "Value": "prodweb1"}]
    both = [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")]
    make = {"InstanceId": web1, "Name": "packlead-1", "NoReboot": True, "TagSpecifications": both}
    image = ec2.create_image(**make)["ImageId"]

    def available() -> list[dict[str, Any]]:
        filters = [{"Name": "state", "Values": ["available"]}]
        return list(ec2.describe_images(Owners=["self"], Filters=filters)["Images"])

    assert not available()
    assert refused(lambda: launch(aws, ImageId=image)) == "InvalidAMIID.Unavailable"
    assert refused(lambda: ec2.create_image(**make)) == "InvalidAMIName.Duplicate"
    until(available)
    [found] = available()
    assert found["Tags"] == tags
    snapshot = found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["Tags"] == tags
    gone = ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert gone["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "success"}]
    missing = refused(lambda: ec2.describe_snapshots(SnapshotIds=[snapshot]))
    assert missing == "InvalidSnapshot.NotFound"


def test_an_image_may_fail(aws: Aws) -> None:
    aws.fail_images()
    aws.image_delay = 0
    ec2, web1 = aws.client("ec2"), instances(aws, "prod")["prodweb1"]["InstanceId"]
    image = ec2.create_image(InstanceId=web1, Name="packlead-2")["ImageId"]
    [found] = ec2.describe_images(ImageIds=[image])["Images"]
    assert (found["State"], found["StateReason"]["Code"]) == ("failed", "Server.InternalError")
    ec2.deregister_image(ImageId=image)


def test_faults_meet_the_calls_that_they_are_meant_for(aws: Aws) -> None:
    throttle = aws.fault("DescribeInstances", "throttle")
    assert len(instances(aws, "prod")) == 4
    statuses = [status for action, _, status in aws.log if action == "DescribeInstances"]
    assert (statuses, throttle.hits) == ([503, 200], 1)

    aws.fault(
        lambda action, params: "prod-web" in params.values(), "error", code="Oops", status=400
    )
    assert refused(lambda: group(aws, "prod-web")) == "Oops"
    cut = aws.fault("DescribeVpcs", "cut")
    aws.client("ec2").describe_vpcs()
    assert (cut.hits, aws.actions("DescribeVpcs")) == (1, 1)
    aws.fault("DescribeVpcs", "slow", seconds=0.2)
    before = time.monotonic()
    aws.client("ec2").describe_vpcs()
    assert time.monotonic() - before >= 0.2
    for key, code in ("AKIAEXPIRED", "ExpiredToken"), ("AKIAINVALID", "AuthFailure"):
        assert refused(aws.client("ec2", key).describe_vpcs) == code


def test_watchers_hear_of_what_succeeded_in_order(aws: Aws) -> None:
    heard: list[str] = []
    aws.watch(lambda action, params, answer: heard.append(action))
    [id] = launch(aws)
    refused(lambda: terminate(aws, "i-0123456789abcdef0"))
    terminate(aws, id)
    assert aws.settled()
    assert heard == ["RunInstances", "TerminateInstances"]


def test_parameters_of_json_services_are_seen(aws: Aws) -> None:
    ssm = aws.client("ssm")
    ssm.put_parameter(Name="/prod/KEY", Value="v", Type="SecureString")
    assert ssm.get_parameter(Name="/prod/KEY")["Parameter"]["Version"] == 1
    assert [call.params["Name"] for call in aws.log] == ["/prod/KEY"] * 2
    aws.fault("GetParameter", "expired")
    assert refused(lambda: ssm.get_parameter(Name="/prod/KEY")) == "ExpiredToken"
