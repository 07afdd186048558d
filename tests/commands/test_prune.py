"""Which images go: a pure choice, held against its rules on ten thousand generated inventories."""

from datetime import UTC, datetime, timedelta
from random import Random

from bot.adapters.aws.records import Image, Use
from commands.prune import choose

NOW = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
YOUNG = 3600.0


def images_from(dice: Random) -> list[Image]:
    return [
        Image(
            f"ami-{n:04}", f"app-{n}", dice.choice(["available"] * 5 + ["pending", "failed"]),
            (NOW - timedelta(hours=dice.randint(0, 400))).isoformat(),
            *(("prod", "web") if dice.random() < 0.9 else ("", "")),
            dice.choice(["prodweb1", "prodcelery1", "puppystreamweb1", ""]),
            str(dice.randint(1, 40)), "c" * 40,
        )
        for n in dice.sample(range(10_000), dice.randint(0, 25))
    ]  # fmt: skip


def test_exactly_the_right_ones_go():
    for seed in range(10_000):
        try:
            goes_right(Random(seed))
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


def goes_right(dice):
    images = images_from(dice)
    uses = tuple(Use(image.id, "i-1") for image in images if dice.random() < 0.1)
    kept = frozenset(str(dice.randint(1, 40)) for _ in range(dice.randint(0, 2)))
    keep, limit = dice.randint(1, 4), dice.randint(1, 10)
    choice = choose(
        images=tuple(images), uses=uses, kept=kept, keep=keep, now=NOW.timestamp(), young=YOUNG,
        limit=limit,
    )  # fmt: skip
    staying = {i.id for i, _ in choice.staying}
    in_use = {u.image for u in uses}
    assert len(choice.going) <= limit
    assert len(choice.going) + len(staying) + choice.more == len(images)
    assert not staying & {i.id for i in choice.going}
    for image in choice.going:
        assert image.id not in in_use and image.state != "pending"
        assert image.environment and image.type and image.master
        assert datetime.fromisoformat(image.created) <= NOW - timedelta(seconds=YOUNG)
        if image.state == "available":
            assert image.release not in kept
            newer = [
                i for i in images
                if (i.environment, i.master) == (image.environment, image.master)
                and i.state == "available" and (i.created, i.id) > (image.created, image.id)
            ]  # fmt: skip
            assert len(newer) >= keep, "one of the newest went"
    if choice.more:
        assert len(choice.going) == limit
    assert sorted(choice.going, key=lambda i: (i.created, i.id)) == list(choice.going)


def image(n, hours, state="available", master="prodweb1", release=""):
    made = (NOW - timedelta(hours=hours)).isoformat()
    return Image(f"ami-{n}", "x", state, made, "prod", "web", master, release, "c" * 40)


def chosen(images, **more):
    given = {"uses": (), "kept": frozenset(), "keep": 3, "limit": 50} | more
    return choose(images=tuple(images), now=NOW.timestamp(), young=YOUNG, **given)


def test_a_pending_or_failed_one_does_not_count_towards_three():
    fleet = [
        image(0, 2, "pending"),
        image(1, 3, "failed"),
        *(image(n, n * 24) for n in range(2, 7)),
    ]
    assert [i.id for i in chosen(fleet).going] == ["ami-6", "ami-5", "ami-1"]


def test_what_is_used_stays_whatever_its_age():
    fleet = [image(n, n * 24 + 2) for n in range(6)]
    choice = chosen(fleet, uses=(Use("ami-5", "lt-1 version 1"),), kept=frozenset({"9"}))
    assert [i.id for i in choice.going] == ["ami-4", "ami-3"]
    assert ("ami-5", "used by lt-1 version 1") in [(i.id, why) for i, why in choice.staying]


def test_a_night_takes_no_more_than_its_limit():
    choice = chosen([image(n, n * 24 + 2) for n in range(20)], limit=4)
    assert [i.id for i in choice.going] == ["ami-19", "ami-18", "ami-17", "ami-16"]
    assert choice.more == 13
