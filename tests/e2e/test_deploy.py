"""A deploy from what somebody types to the card that says it is done."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.canaries import own_secrets, swept
from tests.e2e.people import Person
from tests.e2e.world import World
from tests.lab.load import Load

Commit = Callable[[], tuple[str, str]]


def test_a_deploy_from_the_slash_command_to_the_end(world: World, ada: Person):
    new = world.lab.git.commit("master", {"e2e.txt": "a new day\n"}, "Open at nine")
    short = new[:7]
    with Load(world.lab.balancers["prod"], rate=20) as load:
        deploy = ada.says("/deploy prod master")
        deploy.has_card("running", f"deploy {short} (master) to prod, 4 hosts")
        assert [b.label for b in deploy.card.buttons] == ["Cancel"]
        deploy.has_said("prodweb1 serves")
        assert swept(world, own_secrets(world)) == [], "while the playbook runs"
        deploy.ends("done")
    assert not load.wrong, load.failures
    world.hosts.run(new, "prod")

    card = deploy.has_card("done", f"prod runs {short} on 4 hosts, release ")
    assert card.channel == "C0PROD"
    assert "asked by <@U0ADA>" in card.wording
    assert "Cancel" not in [button.label for button in card.buttons]
    assert card.edits, "it was one message, edited as the deploy went on"
    [plan] = [block for block in card.blocks if block["type"] == "plan"]
    assert {task["status"] for task in plan["tasks"]} == {"complete"}
    assert short in card.text and "done" in card.wording

    deploy.is_followed_up().is_told_in_full()
    thread = deploy.has_said(
        f"comes: {new} (master) Open at nine",
        "order: prodweb1 and prodweb2, one at a time; then prodcelery1 and prodmanager1 together",
        f"{short} Open at nine (Ada Lindqvist)",
        "it brings commits of <@U0ADA>",
        f"prodweb1 serves {short}; it was out of prod-web for",
        f"prodweb2 serves {short}; it was out of prod-web for",
        f"prod runs {short} on 4 hosts",
        "of prodweb1 is there",
    )
    for name in ("prodcelery1", "prodmanager1"):
        assert f"{name} runs {short}" in thread
    images = world.lab.aws.client("ec2").describe_images(Owners=["self"])["Images"]
    tags = [{tag["Key"]: tag["Value"] for tag in image.get("Tags", ())} for image in images]
    made = sorted(tag["Master"] for tag in tags if tag.get("Commit") == new)
    assert made == ["prodcelery1", "prodmanager1", "prodweb1"]
    deploy.is_said_once()
    assert world.begun_of(deploy.number) == [world.runs_of(deploy.number)[0].name]
    world.is_at_rest(deploy.number)
    assert swept(world, own_secrets(world)) == []

    told = ada.says("/packlead status prod").is_told("prodweb2", "prodmanager1")
    for name in world.hosts.names("prod"):
        [line] = [line for line in told.splitlines() if line.strip().startswith(name)]
        assert short in line, line
        assert ("healthy" in line) == ("web" in name), line
    assert f"({short}, master) by ada, healthy" in told


def test_only_one_type_by_a_mention_in_a_thread(world: World, ada: Person, commit: Commit):
    branch, new = commit()
    before = world.hosts.commits("prod")
    world.lab.slack.say("U0BOB", "C0PROD", "may the workers have the new one?")
    root = world.lab.slack.messages("C0PROD")[-1]
    deploy = ada.says(f"deploy prod {branch} --only celery", thread=root.ts)
    deploy.ends("done").is_followed_up().is_told_in_full()
    assert world.hosts.commits("prod") == before | {"prodcelery1": new}
    card = deploy.has_card("done", f"prod runs {new[:7]} on 1 host")
    assert card.thread_ts == root.ts, "the card is in the thread in which it was asked"
    deploy.has_said(
        "the plan", "order: prodcelery1", f"prodcelery1 runs {new[:7]}", "image of prodcelery1"
    )
    deploy.is_said_once()


def test_a_dry_run_changes_nothing(world: World, ada: Person, commit: Commit):
    branch, new = commit()
    before = world.state()
    deploy = ada.says(f"/deploy puppystream {branch} --dry-run", "C0PUPPY")
    deploy.ends("done").is_told_in_full()
    deploy.has_card("a dry run: nothing was changed")
    deploy.has_said(f"comes: {new}", "order: puppystreamweb1 and puppystreamweb2, one at a time")
    assert world.state() == before | {"cards": [*before["cards"], deploy.card.ts]}
