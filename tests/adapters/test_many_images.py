"""Images of twenty masters, pruned by the real command line, and not one mistake.

The bench (`pruning`) does it beside others.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.process import Packlead
from tests.lab import aws as lab
from tests.lab import many_images
from tests.lab.address import claim
from tests.lab.many_images import ENVIRONMENTS, TEMPLATES, Shelf

Filled = Callable[[int], tuple[lab.Aws, Shelf, dict[str, str]]]
PROD, *OTHERS = ENVIRONMENTS
NIGHT = 50  # what the config lets go at once, if nothing is said
NOTHING = {
    "needed images gone": 0,
    "old images left": 0,
    "snapshots left behind": 0,
    "needed snapshots gone": 0,
}


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    """Make a world of so many images, and a bot's house in it; one at a time."""
    ends: list[Callable[[], None]] = []

    def make(images: int) -> tuple[lab.Aws, Shelf, dict[str, str]]:
        while ends:
            ends.pop()()
        place = claim()
        ends.append(place.free)
        cloud = lab.Aws(place.services, tmp_path / f"aws-{images}")
        cloud.start()
        ends.append(cloud.stop)
        shelf = many_images.fill(cloud, place, images)
        env = many_images.house(tmp_path / f"house-{images}", cloud, shelf)
        cloud.log.clear()
        return cloud, shelf, env

    yield make
    while ends:
        ends.pop()()


def called(cloud: lab.Aws) -> Counter[str]:
    return Counter(call.action for call in cloud.log)


def killed(cloud: lab.Aws, env: dict[str, str], at: str, skip: int) -> None:
    """A night that is ended by kill -9 when it comes to a call, which is not done."""
    night: list[Packlead] = []
    fault = cloud.fault(at, "before", skip=skip, call=lambda: night[0].kill())
    night.append(Packlead(env, "run", f"prune {PROD} --limit 8"))
    night[0].ends(-9)
    assert fault.hits == 1
    cloud.faults.clear()


@pytest.mark.soak
def test_exactly_the_right_ones_of_500_go_in_nights_of_fifty(filled: Filled) -> None:
    cloud, shelf, env = filled(500)
    old = sum(where == PROD for where in shelf.goes.values())
    assert len(shelf.goes) > 300 and old > NIGHT, "there is work for several nights"
    assert len(set(shelf.stays.values())) > 10, "and every reason to stay"
    for left in itertools.count(old, -NIGHT):
        cloud.log.clear()
        night = Packlead(env, "run", f"prune {PROD}").ends(0, 180)
        if left <= 0:
            night.says(f"nothing to prune in {PROD}: ")
            break
        night.says(f"{PROD}: {min(left, NIGHT)} images and their snapshots are gone")
        calls = called(cloud)
        assert calls["DeregisterImage"] == min(left, NIGHT)
        # The images, those of any snapshot, and once more what is about to go: all of it in pages.
        assert calls["DescribeImages"] == 3 and calls["DeleteSnapshot"] == 0, calls
        assert shelf.mistakes(cloud)["needed images gone"] == 0
    for environment in OTHERS:
        Packlead(env, "run", f"prune {environment} --limit 999").ends(0, 180)
    assert shelf.mistakes(cloud) == NOTHING


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("the same database", marks=pytest.mark.soak),
        pytest.param("a machine that knows nothing of it", marks=pytest.mark.soak),
    ],
)
def test_a_night_that_is_killed_between_image_and_snapshot_is_finished(
    filled: Filled, tmp_path: Path, where: str
) -> None:
    cloud, shelf, env = filled(240)
    shelf.only(PROD)
    cloud.leave_snapshots(3)
    killed(cloud, env, "DeleteSnapshot", skip=2)
    half = shelf.mistakes(cloud)
    assert half["snapshots left behind"] == 1, "the third image went, its snapshot did not"
    assert half["needed images gone"] == 0
    if where != "the same database":
        env = many_images.house(tmp_path / "elsewhere", cloud, shelf)
    Packlead(env, "run", f"prune {PROD} --limit 999").ends(0, 180)
    assert shelf.mistakes(cloud) == NOTHING
    Packlead(env, "run", f"prune {PROD}").ends(0).says(f"nothing to prune in {PROD}")


@pytest.mark.soak
def test_a_night_that_is_killed_between_two_images_is_finished(filled: Filled) -> None:
    cloud, shelf, env = filled(240)
    shelf.only(PROD)
    killed(cloud, env, "DeregisterImage", skip=4)
    assert cloud.actions("DeregisterImage") == 4
    Packlead(env, "run", f"prune {PROD} --limit 999").ends(0, 180)
    assert shelf.mistakes(cloud) == NOTHING


@pytest.mark.soak
def test_a_snapshot_that_somebody_made_an_image_of_stays(filled: Filled) -> None:
    cloud, shelf, env = filled(200)
    shelf.only(PROD)
    old = next(iter(shelf.goes))
    snapshot = many_images.share(cloud, shelf, old)
    night = Packlead(env, "run", f"prune {PROD} --limit 999").ends(1)
    night.says(f"removing the image {old} of", f"its snapshot {snapshot} is in use")
    assert shelf.mistakes(cloud) == NOTHING
    Packlead(env, "run", f"prune {PROD}").ends(0).says(f"nothing to prune in {PROD}")


@pytest.mark.soak
def test_what_is_asked_grows_with_pages_and_not_with_images(filled: Filled) -> None:
    asked: dict[int, Counter[str]] = {}
    for images in (60, 500, 1900):
        cloud, _, env = filled(images)
        told = Packlead(env, "run", f"prune {PROD} --dry-run").ends(0)
        told.says("a dry run: nothing was changed")
        asked[images] = called(cloud)
    assert asked[60] == asked[500] == {
        "DescribeImages": 2,  # of the environment; of the account, for the snapshots
        "DescribeSnapshots": 1,
        "DescribeInstances": 1,
        "DescribeLaunchTemplates": 1,
        "DescribeLaunchTemplateVersions": TEMPLATES,
        "DescribeAutoScalingGroups": 1,
        "DescribeLaunchConfigurations": 1,
    }  # fmt: skip
    assert asked[1900] - asked[500] == {"DescribeImages": 1}, "the account's second page"
    assert asked[1900].total() == asked[500].total() + 1
