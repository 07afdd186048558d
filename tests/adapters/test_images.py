"""Images of masters: made once, tagged everywhere, waited for."""

from __future__ import annotations

from typing import get_type_hints

import pytest
from pydantic import TypeAdapter

from bot.adapters.aws.fleet import Aws
from bot.adapters.aws.images import legal_name
from bot.adapters.aws.records import Image, Instance
from bot.errors import Failed
from tests.adapters.conftest import Clock
from tests.lab import aws as lab

TAGS = {"Release": "7", "Commit": "0" * 40, "Operation": "op-1"}


def test_doing_it_again_finds_the_first_one(aws: Aws, web1: Instance, cloud: lab.Aws) -> None:
    first = aws.image(web1, "packlead op-1 prodweb1", TAGS)
    again = aws.image(web1, "packlead op-1 prodweb1", TAGS)
    assert first.id == again.id
    assert cloud.actions("CreateImage") == 1
    assert (first.environment, first.type, first.master) == ("prod", "web", "prodweb1")
    assert (again.release, again.commit, again.operation) == ("7", "0" * 40, "op-1")


def test_an_image_whose_answer_was_lost_is_adopted(
    aws: Aws, web1: Instance, cloud: lab.Aws
) -> None:
    cloud.fault("CreateImage", "lost")
    made = aws.image(web1, "packlead op-2 prodweb1", TAGS)
    assert cloud.actions("CreateImage") == 1
    assert made.id in {i.id for i in aws.images("prod")}


def test_image_and_snapshots_are_tagged_and_the_host_is_not_stopped(
    aws: Aws, web1: Instance, cloud: lab.Aws
) -> None:
    image = aws.image(web1, "packlead op-3 prodweb1", TAGS)
    call = next(c for c in cloud.log if c.action == "CreateImage")
    assert call.params["NoReboot"] == "true"
    snapshots = cloud.client("ec2").describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "tag:Operation", "Values": ["op-1"]}]
    )["Snapshots"]
    seen = aws.look_at_image(image.id)
    assert seen is not None
    assert seen.snapshots
    assert set(seen.snapshots) <= {s["SnapshotId"] for s in snapshots}


def test_an_image_is_waited_for(aws: Aws, web1: Instance, cloud: lab.Aws, clock: Clock) -> None:
    cloud.image_delay = 3600
    late = aws.image(web1, "packlead op-4 prodweb1", TAGS)
    with pytest.raises(Failed, match=f"{late.id}: it is still pending after 1800 s"):
        aws.wait_image(late.id)
    cloud.image_delay = 0
    soon = aws.image(web1, "packlead op-5 prodweb1", TAGS)
    assert aws.wait_image(soon.id).state == "available"


def test_an_image_that_fails_is_told_with_its_master(
    aws: Aws, web1: Instance, cloud: lab.Aws
) -> None:
    cloud.image_delay = 0
    cloud.fail_images()
    image = aws.image(web1, "packlead op-6 prodweb1", TAGS)
    with pytest.raises(Failed, match=f"image {image.id} of prodweb1: it is failed"):
        aws.wait_image(image.id)


def test_an_image_that_nobody_knows_is_told(aws: Aws) -> None:
    with pytest.raises(Failed, match="AWS does not know it after 5 s"):
        aws.wait_image("ami-00000000", timeout=5)


def test_a_host_that_is_gone_is_told(aws: Aws) -> None:
    gone = Instance("i-0123456789abcdef0", "prodweb9", "prod", "web", "", "running")
    with pytest.raises(Failed, match="making an image of prodweb9: AWS says InvalidInstanceID"):
        aws.image(gone, "packlead op-7 prodweb9", TAGS)


def test_images_are_listed_newest_first_and_foreign_ones_are_not(
    aws: Aws, web1: Instance, cloud: lab.Aws
) -> None:
    cloud.client("ec2").create_image(InstanceId=web1.id, Name="by hand")
    aws.image(web1, "packlead op-8 prodweb1", TAGS)
    found = aws.images("prod")
    assert found == tuple(sorted(found, key=lambda i: (i.created, i.name, i.id), reverse=True))
    assert "by hand" not in {i.name for i in found}
    assert {i.id for i in found} <= {i.id for i in aws.images()}
    assert aws.images("puppystream") == ()


def test_names_become_legal_and_stay_different() -> None:
    assert legal_name("packlead 12 prodweb1") == "packlead 12 prodweb1"
    odd = {legal_name(f"prune:{c}" + "x" * 200) for c in ":;*"}
    assert len(odd) == 3
    assert all(len(name) <= 128 for name in odd)


def test_what_verbs_return_goes_through_json_unharmed(aws: Aws, web1: Instance) -> None:
    image = aws.image(web1, "packlead op-9 prodweb1", TAGS)
    for verb, value in ((aws.image, image), (aws.images, (image,)), (aws.fleet, aws.fleet("prod"))):
        adapter = TypeAdapter(get_type_hints(verb)["return"])
        assert adapter.validate_python(adapter.dump_python(value, mode="json")) == value
    assert isinstance(image, Image)
