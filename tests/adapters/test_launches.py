"""Copies of a master: alike in every field, each of them once, whatever happens on the way."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter

from bot.adapters.aws.copies import Model, copy, token
from bot.adapters.aws.fleet import Aws
from bot.adapters.aws.records import Instance, Launch
from bot.errors import Failed, Refused
from tests.adapters.conftest import Clock
from tests.lab import aws as lab
from tests.lab import fleet
from tests.lab.aws import PEEK

USER_DATA = b"\x1f\x8b\x00\xff is not text"
TAGS = {"Env": "copies", "Type": "web", "Name": "copiesweb1", "Team": "shop", "Operation": "old"}
OTHER = "10.79.0.0/24"  # a second subnet
SAME = (
    "InstanceType",
    "KeyName",
    "SecurityGroups",
    "SubnetId",
    "VpcId",
    "EbsOptimized",
    "MetadataOptions",
    "Monitoring",
    "Placement",
    "Architecture",
    "RootDeviceName",
    "VirtualizationType",
)


def rows(cloud: lab.Aws) -> dict[str, dict[str, Any]]:
    return fleet.Fleet(cloud).rows("copies")


def names(cloud: lab.Aws) -> list[str]:
    """Every copy that lives, once for each instance."""
    answer = cloud.client("ec2", PEEK).describe_instances(
        Filters=[
            {"Name": "tag:Env", "Values": ["copies"]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
    )
    found = [tags(i)["Name"] for r in answer["Reservations"] for i in r["Instances"]]
    return sorted(set(found) - {"copiesweb1"}) if len(found) == len(set(found)) else found


def tags(row: dict[str, Any]) -> dict[str, str]:
    return {t["Key"]: t["Value"] for t in row["Tags"]}


@pytest.fixture
def aws(warm: Aws) -> Aws:
    return warm


@pytest.fixture(scope="module")
def model(world: lab.Aws) -> Iterator[str]:
    """A master with something of everything."""
    ec2 = world.client("ec2", PEEK)
    like = fleet.Fleet(world).rows("prod")["prodweb1"]
    groups = [
        ec2.create_security_group(GroupName=f"g{n}", Description="copied", VpcId=like["VpcId"])
        for n in range(2)
    ]
    made = ec2.run_instances(
        ImageId=world.base_image,
        InstanceType="t3.large",
        MinCount=1,
        MaxCount=1,
        KeyName=fleet.KEY_PAIR,
        SubnetId=like["SubnetId"],
        SecurityGroupIds=[g["GroupId"] for g in groups],
        IamInstanceProfile={"Name": fleet.PROFILE},
        MetadataOptions={
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 3,
            "InstanceMetadataTags": "enabled",
        },
        Monitoring={"Enabled": True},
        EbsOptimized=True,
        UserData=USER_DATA,
        TagSpecifications=[
            {
                "ResourceType": "instance",
                "Tags": [{"Key": k, "Value": v} for k, v in TAGS.items()],
            }
        ],
    )
    id = str(made["Instances"][0]["InstanceId"])
    yield id
    ec2.terminate_instances(InstanceIds=[id])
    for group in groups:
        ec2.delete_security_group(GroupId=group["GroupId"])


@pytest.fixture
def master(model: str, aws: Aws, cloud: lab.Aws) -> Iterator[Instance]:
    found = aws.fleet("copies").master("web")
    assert found is not None and found.id == model
    cloud.log.clear()
    yield found
    copies = [row["InstanceId"] for row in rows(cloud).values() if row["InstanceId"] != model]
    if copies:
        cloud.client("ec2", PEEK).terminate_instances(InstanceIds=copies)


def launched(launches: tuple[Launch, ...]) -> list[Instance]:
    assert not [launch.trouble for launch in launches if launch.trouble]
    return [launch.instance for launch in launches if launch.instance]


def test_a_copy_is_like_its_master_in_every_field(
    aws: Aws, cloud: lab.Aws, master: Instance
) -> None:
    wanted = ("copiesweb3", "copiesweb2")
    made = launched(aws.launch(master, cloud.base_image, wanted, "op-1"))
    assert [(i.name, i.environment, i.type, i.image) for i in made] == [
        (name, "copies", "web", cloud.base_image) for name in wanted
    ]
    ec2, here = cloud.client("ec2", PEEK), rows(cloud)
    old = here["copiesweb1"]
    for name in wanted:
        new = here[name]
        assert {k: new[k] for k in SAME} == {k: old[k] for k in SAME}
        assert new["IamInstanceProfile"]["Arn"] == old["IamInstanceProfile"]["Arn"]
        assert new["MetadataOptions"]["HttpPutResponseHopLimit"] == 3
        assert len(new["SecurityGroups"]) == 2
        has = {**TAGS, "Name": name, "Operation": "op-1"}
        assert tags(new) == has
        [disk] = new["BlockDeviceMappings"]
        [volume] = ec2.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
        assert tags(volume) == has
        data = ec2.describe_instance_attribute(InstanceId=new["InstanceId"], Attribute="userData")
        assert base64.b64decode(data["UserData"]["Value"]) == USER_DATA
    call = next(c for c in cloud.log if c.action == "RunInstances")
    assert call.params["CreditSpecification.CpuCredits"] == "standard"  # moto forgets it


def test_they_are_launched_at_the_same_time(aws: Aws, cloud: lab.Aws, master: Instance) -> None:
    cloud.fault("RunInstances", "slow", times=6, seconds=10)
    wanted = tuple(f"copiesweb{n}" for n in range(2, 8))
    launched(aws.launch(master, cloud.base_image, wanted, "op-2"))
    calls = [c for c in cloud.log if c.action == "RunInstances"]
    assert len(calls) == 6
    assert max(c.at for c in calls) - min(c.at for c in calls) < 10


def test_what_moto_does_not_keep_is_copied_too() -> None:
    described = {
        "InstanceType": "m7g.large",
        "Placement": {"AvailabilityZone": "eu-1a", "Tenancy": "dedicated", "GroupName": "racks"},
        "MetadataOptions": {"State": "applied", "HttpTokens": "optional", "HttpEndpoint": "x"},
        "Monitoring": {"State": "pending"},
        "SecurityGroups": [{"GroupId": "sg-2"}, {"GroupId": "sg-1"}],
        "Tags": [{"Key": "aws:autoscaling:groupName", "Value": "g"}, {"Key": "Env", "Value": "x"}],
    }
    asked = copy(Model(described, credits="unlimited"), "ami-1", "prodweb2", "op", "prod", "web")
    assert asked["Placement"] == {"Tenancy": "dedicated", "GroupName": "racks"}
    assert asked["MetadataOptions"] == {"HttpEndpoint": "x", "HttpTokens": "required"}
    assert asked["CreditSpecification"] == {"CpuCredits": "unlimited"}
    assert asked["Monitoring"] == {"Enabled": True}
    assert asked["SecurityGroupIds"] == ["sg-2", "sg-1"]
    assert {t["Key"] for t in asked["TagSpecifications"][1]["Tags"]} == {
        "Env",
        "Type",
        "Name",
        "Operation",
    }
    assert not {"KeyName", "SubnetId", "IamInstanceProfile", "UserData"} & set(asked)


def test_a_copy_is_reached_from_outside_where_its_master_is() -> None:
    card = {"Association": {"PublicIp": "198.51.100.7"}, "Ipv6Addresses": [{"Ipv6Address": "::1"}]}
    described = {
        "InstanceType": "t3.large",
        "SubnetId": "subnet-1",
        "SecurityGroups": [{"GroupId": "sg-1"}],
        "NetworkInterfaces": [card],
    }
    asked = copy(Model(described), "ami-1", "prodweb2", "op", "prod", "web", "subnet-2")
    assert asked["NetworkInterfaces"] == [
        {
            "DeviceIndex": 0,
            "SubnetId": "subnet-2",
            "Groups": ["sg-1"],
            "AssociatePublicIpAddress": True,
            "Ipv6AddressCount": 1,
        }
    ]
    assert not {"SubnetId", "SecurityGroupIds"} & set(asked), "EC2 takes them in one place only"


def test_a_token_is_of_one_operation_and_one_name() -> None:
    assert len({token("a", "b"), token("ab", ""), token("a", "c"), token("b", "b")}) == 4
    assert len(token("prune:2026-11-23" * 50, "prodweb3")) <= 64


def test_a_second_call_gives_the_same_instances_and_launches_the_rest(
    aws: Aws, cloud: lab.Aws, master: Instance
) -> None:
    first = launched(aws.launch(master, cloud.base_image, ("copiesweb2",), "op-3"))
    both = launched(aws.launch(master, cloud.base_image, ("copiesweb2", "copiesweb3"), "op-3"))
    assert both[0].id == first[0].id
    assert cloud.actions("RunInstances") == 2
    other = launched(aws.launch(master, cloud.base_image, ("copiesweb9",), "op-4"))
    assert other[0].id not in {i.id for i in both}


@pytest.mark.parametrize("kind", ["lost", "cut", "throttle", "error"])
def test_what_goes_wrong_on_the_wire_makes_one_instance(
    aws: Aws, cloud: lab.Aws, master: Instance, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's pauses
    cloud.fault("RunInstances", kind, times=7)  # more often than botocore tries
    made = launched(aws.launch(master, cloud.base_image, ("copiesweb2",), f"op-5-{kind}"))
    assert names(cloud) == ["copiesweb2"]
    assert rows(cloud)["copiesweb2"]["InstanceId"] == made[0].id


def test_an_answer_that_never_comes_is_looked_for(
    aws: Aws, cloud: lab.Aws, master: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's pauses
    cloud.fault("RunInstances", "lost", times=10_000)
    made = launched(aws.launch(master, cloud.base_image, ("copiesweb2",), "op-6"))
    assert rows(cloud)["copiesweb2"]["InstanceId"] == made[0].id
    cloud.faults.clear()
    cloud.fault("RunInstances", "cut", times=10_000)
    [launch] = aws.launch(master, cloud.base_image, ("copiesweb3",), "op-6")
    assert launch.instance is None
    assert "AWS cannot be reached" in launch.trouble
    assert names(cloud) == ["copiesweb2"]


def test_what_is_not_shown_yet_is_not_launched_again(
    aws: Aws, cloud: lab.Aws, master: Instance
) -> None:
    cloud.consistency = 3
    first = launched(aws.launch(master, cloud.base_image, ("copiesweb2",), "op-7"))
    assert len(aws.fleet("copies").instances) == 1
    again = launched(aws.launch(master, cloud.base_image, ("copiesweb2",), "op-7"))
    assert again[0].id == first[0].id
    assert names(cloud) == ["copiesweb2"]


def test_a_master_that_changed_in_between_is_no_second_launch(
    cloud: lab.Aws, aws: Aws, master: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = launched(aws.launch(master, cloud.base_image, ("copiesweb2",), "op-8"))
    ec2 = cloud.client("ec2", PEEK)
    ec2.create_tags(Resources=[master.id], Tags=[{"Key": "Later", "Value": "yes"}])
    hides = iter([True])  # the first look comes too early to see what was launched
    look = aws._launched
    monkeypatch.setattr(aws, "_launched", lambda *a: {} if next(hides, False) else look(*a))
    again = launched(aws.launch(master, cloud.base_image, ("copiesweb2",), "op-8"))
    ec2.delete_tags(Resources=[master.id], Tags=[{"Key": "Later"}])
    assert again[0].id == first[0].id
    assert [c.error for c in cloud.log if c.status >= 400] == ["IdempotentParameterMismatch"]


def test_capacity_that_ends_is_told_of_each_name_it_hits(
    aws: Aws, cloud: lab.Aws, master: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's pauses
    cloud.capacity = 2
    wanted = tuple(f"copiesweb{n}" for n in range(2, 6))
    launches = aws.launch(master, cloud.base_image, wanted, "op-9")
    assert tuple(launch.name for launch in launches) == wanted
    got = [launch.name for launch in launches if launch.instance]
    assert len(got) == 2
    assert names(cloud) == got
    troubles = {launch.trouble for launch in launches if not launch.instance}
    assert troubles == {"AWS has no more t3.large in us-east-1a at the moment"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("VcpuLimitExceeded", "the account's limit for instances like t3.large is reached"),
        ("InstanceLimitExceeded", "the account's limit for instances like t3.large is reached"),
        ("InsufficientFreeAddressesInSubnet", "the subnet subnet-.* has no free address left"),
        ("IdempotentInstanceTerminated", "has been terminated since"),
        ("InvalidGroup.NotFound", "AWS says InvalidGroup.NotFound: the key is gone"),
    ],
)
def test_a_trouble_is_one_sentence(
    aws: Aws, cloud: lab.Aws, master: Instance, code: str, words: str
) -> None:
    cloud.fault("RunInstances", "error", code=code, message="the key is gone.", status=400)
    first, second = aws.launch(
        master, cloud.base_image, ("copiesweb2", "copiesweb3"), f"op-10-{code}"
    )
    good, bad = (first, second) if first.instance else (second, first)
    assert good.instance and not good.trouble
    assert not bad.instance
    assert re.search(words, bad.trouble)
    assert "\n" not in bad.trouble and not bad.trouble.endswith(".")
    assert names(cloud) == [good.name]


def test_a_key_pair_that_was_deleted_is_left_out(
    aws: Aws, cloud: lab.Aws, master: Instance
) -> None:
    """EC2 goes on telling its name of the master; the image lets in who may."""
    cloud.client("ec2", PEEK).delete_key_pair(KeyName=fleet.KEY_PAIR)
    try:
        [made] = launched(aws.launch(master, cloud.base_image, ("copiesweb2",), "op-20"))
    finally:
        cloud.client("ec2", PEEK).create_key_pair(KeyName=fleet.KEY_PAIR)
    assert rows(cloud)["copiesweb2"]["InstanceId"] == made.id
    assert not rows(cloud)["copiesweb2"].get("KeyName")


def test_disks_go_with_their_instance_and_each_has_its_subnet(
    aws: Aws, cloud: lab.Aws, master: Instance
) -> None:
    ec2 = cloud.client("ec2", PEEK)
    kept = [{"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False}}]
    ec2.modify_instance_attribute(InstanceId=master.id, BlockDeviceMappings=kept)
    vpc = ec2.create_vpc(CidrBlock=OTHER)["Vpc"]["VpcId"]
    other = ec2.create_subnet(VpcId=vpc, CidrBlock=OTHER)["Subnet"]["SubnetId"]
    places = (master.subnet, other)
    wanted = ("copiesweb2", "copiesweb3")
    made = launched(aws.launch(master, cloud.base_image, wanted, "op-21", places))
    assert tuple(one.subnet for one in made) == places
    for name in wanted:
        [disk] = rows(cloud)[name]["BlockDeviceMappings"]
        assert disk["Ebs"]["DeleteOnTermination"], "whatever its image, or its master, has"


def test_what_would_stay_or_come_again_is_told(aws: Aws, cloud: lab.Aws, master: Instance) -> None:
    wanted = ("copiesweb2", "copiesweb3", "copiesweb4")
    free, held, grouped = launched(aws.launch(master, cloud.base_image, wanted, "op-22"))
    ec2 = cloud.client("ec2", PEEK)
    ec2.modify_instance_attribute(InstanceId=held.id, DisableApiTermination={"Value": True})
    tag = {"Key": "aws:autoscaling:groupName", "Value": "puppies"}
    ec2.create_tags(Resources=[grouped.id], Tags=[tag])
    told = aws.kept((free.id, held.id, grouped.id))
    ec2.modify_instance_attribute(InstanceId=held.id, DisableApiTermination={"Value": False})
    assert told == {
        held.id: "it is protected from being terminated",
        grouped.id: "the Auto Scaling group puppies would start another one",
    }


def test_an_image_that_cannot_be_launched_is_told(
    aws: Aws, cloud: lab.Aws, master: Instance
) -> None:
    def trouble(image: str) -> str:
        [launch] = aws.launch(master, image, ("copiesweb2",), f"op-11-{image}")
        return launch.trouble

    cloud.image_delay = 3600
    image = aws.image(master, "packlead op-11 pending", {}).id
    assert trouble(image) == f"the image {image} is pending"
    cloud.image_delay = 0
    cloud.fail_images()
    image = aws.image(master, "packlead op-11 failed", {}).id
    assert trouble(image).startswith(f"the image {image} is failed (")
    assert trouble("ami-00000000") == "AWS knows no image ami-00000000"
    assert names(cloud) == []


def test_credentials_and_permissions_are_nobodys_trouble_in_particular(
    aws: Aws, cloud: lab.Aws, master: Instance
) -> None:
    cloud.fault("RunInstances", "expired", times=4)
    with pytest.raises(Refused, match="launching copiesweb2: the AWS credentials have expired"):
        aws.launch(master, cloud.base_image, ("copiesweb2",), "op-20")
    cloud.fault("RunInstances", "error", code="UnauthorizedOperation", status=403)
    with pytest.raises(Refused, match="AWS does not allow ec2:RunInstances"):
        aws.launch(master, cloud.base_image, ("copiesweb2",), "op-20")


def test_a_master_that_is_gone_is_refused(aws: Aws, cloud: lab.Aws) -> None:
    gone = Instance("i-0123456789abcdef0", "copiesweb1", "copies", "web", "", "running")
    with pytest.raises(Refused, match=r"launching copiesweb2: the master copiesweb1 \(i-0.* gone"):
        aws.launch(gone, cloud.base_image, ("copiesweb2",), "op-13")


def test_those_that_run_in_time_are_returned(aws: Aws, cloud: lab.Aws, master: Instance) -> None:
    made = launched(aws.launch(master, cloud.base_image, ("copiesweb2", "copiesweb3"), "op-14"))
    ids = tuple(i.id for i in made)
    running = aws.wait_running(ids)
    assert [(i.id, i.state) for i in running] == [(id, "running") for id in ids]
    cloud.client("ec2", PEEK).terminate_instances(InstanceIds=[ids[0]])
    assert [i.id for i in aws.wait_running(ids)] == [ids[1]]  # it does not wait for the dead


def test_those_that_are_late_are_left_out(
    aws: Aws, cloud: lab.Aws, master: Instance, clock: Clock
) -> None:
    running = aws.wait_running((master.id, "i-0123456789abcdef0"), timeout=60)
    assert [i.id for i in running] == [master.id]
    assert 60 <= clock.now < 61


def test_terminating_is_done_once_and_for_all(aws: Aws, cloud: lab.Aws, master: Instance) -> None:
    made = launched(aws.launch(master, cloud.base_image, ("copiesweb2", "copiesweb3"), "op-15"))
    ids = (*(i.id for i in made), "i-0123456789abcdef0")
    cloud.fault("TerminateInstances", "lost")
    aws.terminate(ids)
    assert names(cloud) == []
    cloud.log.clear()
    aws.terminate(ids)
    assert not any(c.action == "TerminateInstances" for c in cloud.log)
    aws.terminate(())


def test_what_is_too_new_to_be_shown_is_terminated(
    aws: Aws, cloud: lab.Aws, master: Instance, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.consistency = 3600
    [new] = launched(aws.launch(master, cloud.base_image, ("copiesweb2",), "op-16"))

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now > 5:
            cloud._here.consistency.hidden.clear()

    monkeypatch.setattr(aws, "_sleep", sleep)
    aws.terminate((new.id,))
    assert clock.now > 5
    assert names(cloud) == []


def test_a_foreign_instance_is_refused_and_nothing_ends(
    aws: Aws, cloud: lab.Aws, master: Instance
) -> None:
    ec2 = cloud.client("ec2", PEEK)
    [new] = launched(aws.launch(master, cloud.base_image, ("copiesweb2",), "op-17"))
    bastion = ec2.run_instances(
        ImageId=cloud.base_image,
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "bastion"}]}
        ],
    )["Instances"][0]["InstanceId"]
    try:
        with pytest.raises(Refused, match="terminating bastion: it has not all of the tags Env"):
            aws.terminate((new.id, bastion))
        assert cloud.actions("TerminateInstances") == 0
    finally:
        ec2.terminate_instances(InstanceIds=[bastion])
    aws.terminate((new.id, bastion))  # what has ended is nobody's any more
    assert names(cloud) == []


def test_throttling_that_stays_is_no_success(
    aws: Aws, cloud: lab.Aws, master: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's pauses
    cloud.fault("TerminateInstances", "throttle", times=10_000)
    with pytest.raises(Failed, match="AWS asks to slow down"):
        aws.terminate((master.id,))
    cloud.fault("DescribeInstances", "throttle", times=10_000)
    with pytest.raises(Failed, match="AWS asks to slow down"):
        aws.wait_running((master.id,), timeout=30)


def test_what_the_verbs_return_goes_through_json_unharmed(
    aws: Aws, cloud: lab.Aws, master: Instance
) -> None:
    made = aws.launch(master, cloud.base_image, ("copiesweb2",), "op-18")
    for verb, value in ((aws.launch, made), (aws.wait_running, (master,))):
        adapter = TypeAdapter(get_type_hints(verb)["return"])
        assert adapter.validate_python(adapter.dump_python(value, mode="json")) == value
    for quiet in (aws.terminate, aws.deregister, aws.delete_snapshot):
        adapter = TypeAdapter(get_type_hints(quiet)["return"])
        assert adapter.validate_python(adapter.dump_python(None, mode="json")) is None
