"""Images and snapshots that go, and everything that needs an image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter

from bot.adapters.aws.fleet import Aws
from bot.adapters.aws.records import Image, Instance, Snapshot, Use
from bot.adapters.aws.uses import Template
from bot.errors import Failed, Refused
from tests.lab import aws as lab
from tests.lab import fleet
from tests.lab.aws import PEEK

CONFIGURED = {"used": "ami-0000000000000aaa3", "unused": "ami-0000000000000aaa4"}
COMMIT = "c0ffee" * 6 + "c0ff"


@pytest.fixture
def aws(warm: Aws, cloud: lab.Aws) -> Aws:
    cloud.image_delay = 0
    return warm


@pytest.fixture
def image(aws: Aws, web1: Instance, request: pytest.FixtureRequest) -> Image:
    tags = {"Release": "7", "Commit": COMMIT, "Operation": "op-1"}
    made = aws.image(web1, f"packlead {request.node.name}", tags)
    return next(i for i in aws.images() if i.id == made.id)


def snapshots(cloud: lab.Aws) -> set[str]:
    answer = cloud.client("ec2", PEEK).describe_snapshots(OwnerIds=["self"])
    return {row["SnapshotId"] for row in answer["Snapshots"]}


def called(cloud: lab.Aws) -> Counter[str]:
    return Counter(call.action for call in cloud.log)


def test_an_image_tells_what_there_is_to_know(image: Image) -> None:
    assert (image.release, image.commit, image.operation) == ("7", COMMIT, "op-1")
    assert (image.state, image.gigabytes, len(image.snapshots)) == ("available", 15, 1)
    assert image.created.startswith("20")


def test_an_image_goes_with_its_snapshots_in_two_calls(
    aws: Aws, cloud: lab.Aws, image: Image
) -> None:
    cloud.log.clear()
    aws.deregister(image)
    assert called(cloud) == {"DescribeImages": 1, "DeregisterImage": 1}
    assert image.id not in {i.id for i in aws.images()}
    assert not snapshots(cloud) & set(image.snapshots)
    aws.deregister(image)  # again: nothing is there, and that is fine
    aws.deregister(replace(image, id="ami-00000000"))
    assert cloud.actions("DeregisterImage") == 1


def test_snapshots_that_aws_leaves_are_deleted(aws: Aws, cloud: lab.Aws, image: Image) -> None:
    cloud.client("ec2", PEEK).deregister_image(ImageId=image.id)
    assert set(image.snapshots) <= snapshots(cloud)
    aws.deregister(image)
    assert not snapshots(cloud) & set(image.snapshots)


@pytest.mark.parametrize("action", ["DeregisterImage", "DescribeImages"])
@pytest.mark.parametrize("kind", ["lost", "cut"])
def test_an_answer_that_is_lost_changes_nothing(
    aws: Aws,
    cloud: lab.Aws,
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    kind: str,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's pauses
    cloud.fault(action, kind)
    aws.deregister(image)
    assert image.id not in {i.id for i in aws.images()}
    assert not snapshots(cloud) & set(image.snapshots)


def test_a_snapshot_that_something_uses_is_named(aws: Aws, cloud: lab.Aws, image: Image) -> None:
    [snapshot] = image.snapshots
    cloud.client("ec2", PEEK).deregister_image(ImageId=image.id)
    cloud.fault("DeleteSnapshot", "error", code="InvalidSnapshot.InUse", status=400, times=2)
    with pytest.raises(Failed, match=f"of prodweb1: the image is gone.*{snapshot} is in use"):
        aws.deregister(image)
    with pytest.raises(Failed, match=f"deleting the snapshot {snapshot}: an image uses it"):
        aws.delete_snapshot(snapshot)
    aws.delete_snapshot(snapshot)
    aws.delete_snapshot(snapshot)
    assert snapshot not in snapshots(cloud)


def test_what_is_not_ours_is_refused(
    aws: Aws, cloud: lab.Aws, web1: Instance, image: Image
) -> None:
    ec2 = cloud.client("ec2", PEEK)
    by_hand = ec2.create_image(InstanceId=web1.id, Name="by hand, for pruning")["ImageId"]
    theirs = ec2.describe_images(ImageIds=[by_hand])["Images"][0]["BlockDeviceMappings"]
    snapshot = theirs[0]["Ebs"]["SnapshotId"]
    for id in (by_hand, cloud.base_image):
        with pytest.raises(Refused, match=f"{id} of prodweb1: it has not all of the tags Env"):
            aws.deregister(replace(image, id=id))
    with pytest.raises(Refused, match=f"the snapshot {snapshot} has not all of the tags Env"):
        aws.delete_snapshot(snapshot)
    with pytest.raises(Refused, match=f"the snapshot {snapshot} has not all"):
        aws.deregister(replace(image, id="ami-00000000", snapshots=(snapshot,)))
    with pytest.raises(Refused, match="its tags have been changed to prod, web, prodweb1"):
        aws.deregister(replace(image, master="prodweb2"))
    assert cloud.actions("DeregisterImage") == cloud.actions("DeleteSnapshot") == 0


def test_many_are_looked_at_in_one_call_and_each_goes_in_one(
    aws: Aws, cloud: lab.Aws, web1: Instance, image: Image
) -> None:
    ids = [aws.image(web1, f"packlead of many {n}", {"Release": "8"}).id for n in range(5)]
    many = tuple(i for i in aws.images() if i.id in ids)
    changed = replace(many[0], master="prodweb2")
    gone = replace(image, id="ami-00000000", snapshots=())
    cloud.log.clear()
    [(id, why)] = aws.not_ours((changed, *many[1:], gone))
    assert (id, called(cloud)) == (many[0].id, {"DescribeImages": 1})
    assert "its tags have been changed to prod, web, prodweb1" in why
    for one in (*many[1:], gone):
        aws.deregister(one, checked=True)
    assert called(cloud) == {"DescribeImages": 1, "DeregisterImage": 5}
    assert {i.id for i in aws.images()} & set(ids) == {many[0].id}
    assert not snapshots(cloud) & {s for one in many[1:] for s in one.snapshots}


def test_a_snapshot_whose_image_is_gone_is_an_orphan(
    aws: Aws, cloud: lab.Aws, web1: Instance, image: Image
) -> None:
    ec2 = cloud.client("ec2", PEEK)
    [snapshot] = image.snapshots
    by_hand = ec2.create_image(InstanceId=web1.id, Name="by hand, an orphan")["ImageId"]
    ec2.deregister_image(ImageId=by_hand)  # and its snapshot, which has no tags, stays
    volume = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]
    copied = ec2.create_snapshot(
        VolumeId=volume,
        Description=f"[Copied {snapshot}] Created by CreateImage({web1.id}) for {by_hand}",
        TagSpecifications=[
            {
                "ResourceType": "snapshot",
                "Tags": [{"Key": k, "Value": "prod"} for k in ("Env", "Type", "Master")],
            }
        ],
    )["SnapshotId"]
    assert aws.orphans() == ()
    ec2.deregister_image(ImageId=image.id)
    [orphan] = aws.orphans()
    assert orphan == Snapshot(snapshot, image.id, "prod", orphan.created)
    assert orphan.created.startswith("20")
    assert aws.orphans("prod") == (orphan,)
    assert aws.orphans("puppystream") == ()
    aws.delete_snapshot(orphan.id)
    assert aws.orphans() == ()
    assert copied in snapshots(cloud)


@pytest.fixture
def users(cloud: lab.Aws) -> Iterator[dict[str, Any]]:
    """Templates, launch configurations and groups of all kinds, which need images."""
    ec2, scaling = cloud.client("ec2", PEEK), cloud.client("autoscaling", PEEK)
    cloud.client("ssm", PEEK).put_parameter(
        Name="/images/web", Value="ami-0000000000000aaa6", Type="String", Overwrite=True
    )
    old = ec2.create_launch_template(
        LaunchTemplateName="old", LaunchTemplateData={"ImageId": "ami-0000000000000aaa1"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    for data in (
        {"ImageId": "ami-0000000000000aaa2"},
        {"InstanceType": "t3.small"},
        {"ImageId": "resolve:ssm:/images/web"},
        {"ImageId": "resolve:ssm:/images/gone"},
        {"ImageId": "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023"},  # not to be read
    ):
        ec2.create_launch_template_version(LaunchTemplateId=old, LaunchTemplateData=data)
    for name, image in CONFIGURED.items():
        scaling.create_launch_configuration(
            LaunchConfigurationName=name, ImageId=image, InstanceType="t3.small"
        )
    room = {"MinSize": 0, "MaxSize": 0, "AvailabilityZones": ["us-east-1a"]}
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="configured", LaunchConfigurationName="used", **room
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="templated",
        LaunchTemplate={"LaunchTemplateId": old, "Version": "$Default"},
        **room,
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="mixed",
        MixedInstancesPolicy={
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "old", "Version": "2"},
                "Overrides": [
                    {"InstanceType": "t3.large", "ImageId": "ami-0000000000000aaa5"},
                    {
                        "InstanceType": "t3.small",
                        "LaunchTemplateSpecification": {
                            "LaunchTemplateName": "old",
                            "Version": "4",
                        },
                    },
                ],
            }
        },
        **room,
    )
    yield {"template": old}
    for name in ("configured", "templated", "mixed"):
        scaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    for name in CONFIGURED:
        scaling.delete_launch_configuration(LaunchConfigurationName=name)
    ec2.delete_launch_template(LaunchTemplateId=old)


def test_everything_that_needs_an_image_is_found(
    aws: Aws, cloud: lab.Aws, users: dict[str, Any]
) -> None:
    ec2 = cloud.client("ec2", PEEK)
    stopped = ec2.run_instances(ImageId=cloud.base_image, MinCount=1, MaxCount=1)
    id = stopped["Instances"][0]["InstanceId"]
    ec2.stop_instances(InstanceIds=[id])
    try:
        found = set(aws.uses())
    finally:
        ec2.terminate_instances(InstanceIds=[id])
    template = users["template"]
    running = {Use(cloud.base_image, i) for i in fleet.Fleet(cloud).ids().values()}
    assert running | {Use(cloud.base_image, id)} <= found
    assert {use for use in found if not use.by.startswith("i-")} == {
        Use("ami-0000000000000aaa1", f"{template} version 1"),
        Use("ami-0000000000000aaa2", f"{template} version 2"),
        Use("ami-0000000000000aaa6", f"{template} version 4"),
        Use("ami-0000000000000aaa1", "scaling group templated"),
        Use("ami-0000000000000aaa2", "scaling group mixed"),
        Use("ami-0000000000000aaa5", "scaling group mixed"),
        Use("ami-0000000000000aaa6", "scaling group mixed"),
        Use(CONFIGURED["used"], "scaling group configured"),
        Use(CONFIGURED["used"], "launch configuration used"),
        Use(CONFIGURED["unused"], "launch configuration unused"),
    }
    assert id not in {use.by for use in aws.uses()}  # terminated


def test_calls_grow_with_pages_and_templates_only(
    aws: Aws, cloud: lab.Aws, users: dict[str, Any], image: Image
) -> None:
    cloud.log.clear()
    aws.uses()
    assert called(cloud) == {
        "DescribeInstances": 1,
        "DescribeLaunchTemplates": 1,
        "DescribeLaunchTemplateVersions": 1,
        "GetParameters": 1,
        "DescribeAutoScalingGroups": 1,
        "DescribeLaunchConfigurations": 1,
    }
    cloud.log.clear()
    aws.images()
    aws.orphans()
    assert called(cloud) == {"DescribeImages": 2, "DescribeSnapshots": 1}
    sizes = {c.action: c.params.get("MaxResults") for c in cloud.log}
    assert sizes == {"DescribeImages": "1000", "DescribeSnapshots": "1000"}


def test_every_page_is_read(aws: Aws, cloud: lab.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = aws.uses()
    monkeypatch.setattr("bot.adapters.aws.instances.PAGE", 5)
    cloud.log.clear()
    assert aws.uses() == whole
    assert called(cloud)["DescribeInstances"] == 2


def test_every_version_of_a_template_has_its_image() -> None:
    template = Template("lt-1", "web", default="1", latest="3", images={"1": "a", "3": "c"})
    versions = ("$Default", "", "1", "$Latest", "3", "2", "9")
    assert [template.image(v) for v in versions] == ["a", "a", "a", "c", "c", "", ""]


@pytest.mark.parametrize(
    ("action", "word"),
    [
        ("DescribeLaunchTemplateVersions", "ec2:DescribeLaunchTemplateVersions"),
        ("DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingGroups"),
        ("GetParameters", "ssm:GetParameters"),
    ],
)
def test_what_cannot_be_asked_is_no_answer(
    aws: Aws, cloud: lab.Aws, users: dict[str, Any], action: str, word: str
) -> None:
    cloud.fault(action, "error", code="UnauthorizedOperation", status=403)
    with pytest.raises(Refused, match=f"which images are in use: AWS does not allow {word}"):
        aws.uses()


def test_what_the_verbs_return_goes_through_json_unharmed(
    aws: Aws, cloud: lab.Aws, users: dict[str, Any], image: Image
) -> None:
    cloud.client("ec2", PEEK).deregister_image(ImageId=image.id)
    for verb, value in (
        (aws.uses, aws.uses()),
        (aws.orphans, aws.orphans()),
        (aws.images, aws.images()),
    ):
        adapter = TypeAdapter(get_type_hints(verb)["return"])
        assert adapter.validate_python(adapter.dump_python(value, mode="json")) == value
