"""Coming back to a release that was here before, and starting again: the host's part."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from playbooks.filter_plugins.roll import batches
from tests.playbooks.test_release import Host, program


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def deployed(host: Host, number: int, **files: str) -> tuple[str, str]:
    """A release that was live and well: (commit, name)."""
    commit = host.commit(**files)
    name = host.release(commit, number)
    host.take("switch", release=name)
    assert "failed" not in host.take("health")
    return commit, name


def names(host: Host) -> list[str]:
    return sorted(path.name for path in (host.root / "releases").iterdir())


def test_a_release_that_was_well_comes_back_under_a_new_number(host: Host):
    old, name = deployed(host, 1, a="1")
    _, bad = deployed(host, 2, a="2")
    told = host.take("fetch", commit=old, release=3, again=True, say=True)
    assert (told["release"], told["ready"]) == (f"0000003-{old[:12]}", True)
    assert not told.get("packlead_say"), "there is nothing to tell"
    assert names(host) == [bad, told["release"]], "renamed, so that `clean` takes it for new"
    refs = host.git("--git-dir", str(host.root / "repository"), "for-each-ref")
    assert name not in refs and told["release"] in refs
    assert host.take("fetch", commit=old, release=3, again=True)["ready"], "as often as one likes"
    host.take("switch", release=told["release"])
    host.take("health")
    assert host.live == f"releases/{told['release']}"


def test_one_that_was_never_well_is_made_again_and_told(host: Host):
    first = host.commit(a="1")
    host.release(first, 1)  # prepared, and never switched to
    deployed(host, 2, a="2")
    told = host.take("fetch", commit=first, release=3, again=True, say=True)
    assert not told["ready"]
    assert told["packlead_say"] == f"has no release of {first[:7]} ready: it is built there first"


def test_taken_in_the_switch_itself_where_it_was_seen_before(host: Host):
    old, _ = deployed(host, 1, a="1")
    _, bad = deployed(host, 2, a="2")
    back = f"0000003-{old[:12]}"
    for _ in range(2):  # a call whose answer was lost is made again
        told = host.take("switch", release=back, take=old, at_once=True)
        assert told["well"] and host.live == f"releases/{back}"
    assert names(host) == [bad, back]
    refs = host.git("--git-dir", str(host.root / "repository"), "for-each-ref")
    assert back in refs and "0000001-" not in refs

    gone = host.commit(a="3")
    told = host.take("switch", release=f"0000004-{gone[:12]}", take=gone)
    assert told["msg"] == f"taking {gone[:7]} again: it is not on this host any more"
    assert host.live == f"releases/{back}" and host.state["switch"] is None, "nothing was begun"


def test_one_that_a_switch_was_left_at_comes_back(host: Host):
    old, _ = deployed(host, 1, a="1")
    _, bad = deployed(host, 2, a="2")
    program(host.folder / "bin", "supervisorctl", "echo web FATAL; exit 1")
    host.given |= {"services": ["web"], "supervisorctl": str(host.folder / "bin/supervisorctl")}
    assert host.take("switch", release=f"0000003-{old[:12]}", take=old)["failed"]
    assert host.take("mend")["failed"], "the services do not start on that one either"
    assert host.live == f"releases/{bad}" and host.state["switch"]["to"] == f"0000003-{old[:12]}"
    program(host.folder / "bin", "supervisorctl", "echo web RUNNING pid 7")
    host.given["epoch"] += 1
    told = host.take("switch", release=f"0000004-{old[:12]}", take=old, at_once=True)
    assert told.get("well"), told
    assert host.live == f"releases/0000004-{old[:12]}" and host.state["switch"] is None


def test_one_that_is_live_keeps_its_name(host: Host):
    commit, name = deployed(host, 1, a="1")
    told = host.take("fetch", commit=commit, release=2, again=True)
    assert not told["ready"]
    assert host.live == f"releases/{name}" and name in names(host)


def test_a_deploy_takes_no_old_folder(host: Host):
    commit, name = deployed(host, 1, a="1")
    deployed(host, 2, a="2")
    told = host.take("fetch", commit=commit, release=3)
    assert not told["ready"]
    assert name in names(host)


def test_switched_and_looked_at_in_one_call(host: Host):
    deployed(host, 1, a="1")
    new = host.release(host.commit(a="2"), 2)
    told = host.take("switch", release=new, at_once=True)
    assert (told["well"], told["output"]) == (True, "has no services")
    assert host.state["switch"] is None
    ill = host.release(host.commit(a="3"), 3)
    program(host.folder / "bin", "supervisorctl", "echo web FATAL; exit 0")
    host.given |= {"services": ["web"], "supervisorctl": str(host.folder / "bin/supervisorctl")}
    assert "web is FATAL after it" in host.take("switch", release=ill, at_once=True)["msg"]
    assert host.state["switch"]["from"] == new


def switched_ahead(host: Host, name: str) -> dict[str, Any]:
    told = host.take("go_ahead", release=name)
    assert told["output"] == "begun"
    return host.take("switch", release=name, say="runs it")  # waits for the lock


def test_what_went_ahead_is_found_done(host: Host):
    deployed(host, 1, a="1")
    new = host.release(host.commit(a="2"), 2)
    told = switched_ahead(host, new)
    assert (told["well"], told["packlead_say"]) == (True, "runs it")
    assert host.live == f"releases/{new}"
    assert host.state["switch"] is None


def test_what_went_ahead_and_failed_is_done_again_and_told(host: Host):
    _, old = deployed(host, 1, a="1")
    new = host.release(host.commit(a="2"), 2)
    program(host.folder / "bin", "supervisorctl", "echo web FATAL; exit 1")
    host.given |= {"services": ["web"], "supervisorctl": str(host.folder / "bin/supervisorctl")}
    told = switched_ahead(host, new)
    assert told["failed"] and "web does not start" in told["msg"]
    assert host.state["switch"]["from"] == old


def test_a_restart_stays_on_its_release(host: Host):
    log = host.folder / "log"
    program(host.folder / "bin", "supervisorctl", f'echo "$@" >> {log}; echo web RUNNING pid 7')
    host.given |= {"services": ["web"], "supervisorctl": str(host.folder / "bin/supervisorctl")}
    _, name = deployed(host, 1, a="1")
    log.unlink()
    told = host.take("restart")
    assert told["release"] == name
    assert log.read_text().splitlines() == ["restart web:*"]
    assert host.take("back")["said"].startswith("was started once more on")
    assert host.live == f"releases/{name}"


def test_there_must_be_something_to_restart(host: Host):
    assert host.take("restart")["msg"] == "restarting: there is no release on this host yet"


def test_more_may_be_away_than_a_batch():
    hosts = {f"web{n}": {"packlead_balancer": {"kind": "target_group"}, "packlead_type": "web",
                         "packlead_batch": 1} for n in range(5)}  # fmt: skip
    assert batches(hosts, hosts) == [1, 1, 1, 1, 1]
    assert batches(hosts, hosts, {"web": 2}) == [2, 2, 1]


def test_the_step_that_went_ahead_can_be_ended(host: Host):
    deployed(host, 1, a="1")
    new = host.release(host.commit(a="2"), 2)
    program(
        host.folder / "bin",
        "supervisorctl",
        "case $1 in restart) sleep 60;; esac; echo web RUNNING pid 7",
    )
    host.given |= {"services": ["web"], "supervisorctl": str(host.folder / "bin/supervisorctl")}
    begun = time.monotonic()
    assert host.take("go_ahead", release=new)["output"] == "begun"
    assert time.monotonic() - begun < 60, "somebody waited for it"
    (host.folder / "bin" / "supervisorctl").write_text("#!/bin/sh\necho web RUNNING pid 7\n")
    assert "failed" not in host.take("mend")
    assert os.readlink(host.root / "current").endswith(tuple(names(host)))
