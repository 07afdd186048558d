"""The invariants speak when something is broken, and only then; so do faults that call somebody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ConnectionClosedError

from bot.events import Done, Stopped
from bot.store import Store
from tests.lab import invariants, testimony
from tests.lab.aws import PEEK
from tests.lab.capacity import Capacity, Sample, answer
from tests.lab.lab import Lab
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("invariants")]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab({"aws", "hosts", "balancer"}, fleet={"prod": {"web": 3}}) as lab:
        yield lab


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/packlead.db")
    yield store
    store.close()


def live(lab: Lab) -> str:
    return answer(lab.hosts["prodweb1"])


def joined(lab: Lab, name: str, verb: str) -> None:
    elb = lab.aws.client("elbv2", PEEK)
    [group] = elb.describe_target_groups(Names=["prod-web"])["TargetGroups"]
    targets = [{"Id": lab.fleet.ids("prod")[name]}]
    getattr(elb, f"{verb}_targets")(TargetGroupArn=group["TargetGroupArn"], Targets=targets)


def test_a_fleet_is_as_many_as_asked_behind_the_balancer_on_one_commit(lab: Lab):
    commit = live(lab)
    assert not [*invariants.fleet(lab, "prod", "web", 3, commit)]
    assert [*invariants.fleet(lab, "prod", "web", 2, commit)] == [
        "there are prodweb1, prodweb2, prodweb3 and not prodweb1, prodweb2"
    ]
    told = [*invariants.fleet(lab, "prod", "web", 3, "0" * 40)]
    assert told[0] == f"prodweb1 answers with {commit[:7]} and not 0000000"
    joined(lab, "prodweb3", "deregister")
    until(lambda: lab.fleet.health("prod").get("prodweb3") != "healthy")
    assert "prodweb3 is draining" in "".join(invariants.fleet(lab, "prod", "web", 3, commit))
    joined(lab, "prodweb3", "register")
    until(lambda: not [*invariants.fleet(lab, "prod", "web", 3, commit)])


def test_the_capacity_is_what_is_sent_to_and_answers(lab: Lab):
    with Capacity(lab, "prod", 2) as seen:
        until(lambda: len(seen.samples) > 3)
        joined(lab, "prodweb3", "deregister")
        until(lambda: seen.lowest == 2)
    assert not seen.broken
    with Capacity(lab, "prod", 2) as seen:
        until(lambda: len(seen.samples) > 3)
        seen.mark("the cable of prodweb2 is cut")
        lab.machines.stop_host("prodweb2")
        until(lambda: seen.lowest == 1)
    assert f"only {lab.hosts['prodweb1']} served prod, 2 must (the cable of" in seen.broken[-1]
    lab.machines.start_host("prodweb2")
    joined(lab, "prodweb3", "register")
    until(lambda: set(lab.fleet.health("prod").values()) == {"healthy"})
    assert Capacity(lab, "prod", 0).broken == ["the capacity was never seen"]


def test_where_nobody_could_look_nothing_is_well(lab: Lab):
    with Capacity(lab, "prod", 0) as seen:
        until(lambda: seen.samples)
        seen._group = "a balancer that has gone"
        until(lambda: len(seen.blind) > 2)
    assert len(seen.broken) == len(seen.blind)
    assert "from the start nobody could look at prod: KeyError('a balancer" in seen.broken[0]
    seen.began, seen.ended = 0.0, 9.0
    seen.samples = [Sample(at, (), 0) for at in (1.0, 7.0, 2.0)]
    assert seen.gap == 5.0


def test_what_is_nobodys_is_found(lab: Lab):
    ec2, before = lab.aws.client("ec2", PEEK), invariants.inventory(lab)
    assert not [*invariants.strays(lab, before)]
    volume = ec2.create_volume(AvailabilityZone=f"{lab.aws.region}a", Size=1)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    id = lab.fleet.ids("prod")["prodweb3"]
    ec2.delete_tags(Resources=[id], Tags=[{"Key": "Type"}])
    assert [*invariants.strays(lab, before)] == [
        f"{id} has no tag Type",
        f"snapshots are left: {snapshot}",
        f"{volume} is a volume of no instance",
    ]
    ec2.create_tags(Resources=[id], Tags=[{"Key": "Type", "Value": "web"}])
    ec2.delete_snapshot(SnapshotId=snapshot)
    ec2.delete_volume(VolumeId=volume)
    new = invariants.Inventory(before.instances - {id}, before.images, before.snapshots)
    assert [*invariants.strays(lab, new, ["op"])] == ["prodweb3 is of no operation, but of None"]
    ec2.create_tags(Resources=[id], Tags=[{"Key": "Operation", "Value": "op"}])
    assert not [*invariants.strays(lab, new, ["op"])]


def test_a_row_and_its_log_end_alike_and_free_what_they_held(lab: Lab, store: Store):
    asked = {"command": "scale", "environment": "prod", "person": "ada", "front": "slack"}
    one, _ = store.submit("one", line="scale prod web 3", exclusive=True, **asked)
    assert [*invariants.locks(store)] == ["#1 (scale prod web 3) is still queued"]
    assert "#1 has not ended" in "".join(invariants.ended(store, 1))
    mark = len(lab.aws.log)
    lab.aws.client("ec2").create_tags(
        Resources=[lab.fleet.ids("prod")["prodweb3"]], Tags=[{"Key": "Seen", "Value": "1"}]
    )
    assert [*testimony.effects(lab.aws.log[mark:], store)] == [
        "CreateTags was asked of AWS while no operation was at work"
    ]
    store.begin(one.id)
    assert not [*testimony.effects(lab.aws.log[mark:], store)], "it is at work from now on"
    store.end(one.id, "done", Done("3 web"))
    assert not [*invariants.locks(store), *invariants.ended(store, 1)]
    store.append(one.id, "again", Stopped("it went wrong"))
    assert "the log of #1 ends 2 times" in "".join(invariants.ended(store, 1))


def test_playbooks_that_began_twice_or_side_by_side_are_found(tmp_path):
    def ran(name: str, *lines: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.jsonl").write_text("\n".join(lines))

    ran("7-1", '{"event": "playbook_on_start", "at": 1}', '{"at": 4}')
    ran("7-2", '{"event": "playbook_on_start", "at": 5}', '{"at": 6}')
    assert not [*invariants.plays(tmp_path, 7, most=2)]
    assert [*invariants.plays(tmp_path, 7, most=1)] == [
        "playbooks were begun 2 times, and not 1 at most"
    ]
    ran("7-3", *['{"event": "playbook_on_start", "at": 5.5}'] * 2)
    assert [*invariants.plays(tmp_path, 7, most=3)] == [
        "the playbook in 7-3 was begun 2 times",
        "7-2 and 7-3 were at work at the same time",
    ]


def test_two_operations_on_one_host_at_a_time_are_found(tmp_path):
    def ran(name: str, host: str, begin: float, end: float) -> None:
        (tmp_path / name).mkdir()
        lines = [f'{{"host": "{host}", "at": {at}}}' for at in (begin, end)]
        (tmp_path / name / "events.jsonl").write_text("\n".join(lines))

    ran("7-1", "prodweb1", 1, 3)
    ran("7-2", "prodweb1", 2, 4)  # two of one operation are another invariant's
    ran("8-1", "prodweb2", 1, 4)
    ran("9-1", "prodweb1", 5, 6)
    assert not [*invariants.alone(tmp_path)]
    ran("10-1", "prodweb1", 5.5, 7)
    assert [*invariants.alone(tmp_path)] == ["#9 and #10 were on prodweb1 at the same time"]


def test_two_images_of_one_master_by_one_operation_are_found(lab: Lab):
    ec2, before = lab.aws.client("ec2", PEEK), invariants.inventory(lab)
    id = lab.fleet.ids("prod")["prodweb3"]
    tags = [{"Key": "Operation", "Value": "op"}, {"Key": "Master", "Value": "prodweb3"}]
    told = [{"ResourceType": "image", "Tags": tags}]
    made = [
        ec2.create_image(InstanceId=id, Name=f"two-{n}", TagSpecifications=told)["ImageId"]
        for n in (1, 2)
    ]
    assert [*invariants.strays(lab, before, ["op"])] == ["op made 2 images of prodweb3"]
    assert f"images are left: {', '.join(sorted(made))}" in [*invariants.strays(lab, before)]
    for image in made:
        ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert not [*invariants.strays(lab, before, ["op"])]


def test_a_fault_can_call_somebody_before_and_after_what_was_asked(lab: Lab):
    ec2, heard = lab.aws.client("ec2"), []
    id = lab.fleet.ids("prod")["prodweb1"]

    def tagged() -> bool:
        return any(t["Key"] == "Mark" for t in lab.fleet.rows("prod")["prodweb1"]["Tags"])

    def mark() -> None:
        ec2.create_tags(Resources=[id], Tags=[{"Key": "Mark", "Value": "1"}])

    for kind, done in (("before", False), ("after", True)):
        lab.aws.fault("CreateTags", kind, times=100, call=lambda: heard.append(tagged()))
        with pytest.raises(ConnectionClosedError):
            mark()
        lab.aws.faults.clear()
        assert heard.pop(0) is done and tagged() is done
        ec2.delete_tags(Resources=[id], Tags=[{"Key": "Mark"}])
        heard.clear()
    second = lab.aws.fault("CreateTags", "error", skip=1, times=1)
    mark()
    assert second.hits == 0
    never = lab.aws.fault("DescribeInstances", "throttle", times=5, chance=lambda: False)
    ec2.describe_instances()
    assert never.hits == 0
    lab.aws.faults.clear()
