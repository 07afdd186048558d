"""The lab's hosts: they run the application, follow AWS, and end with the lab."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab import machine
from tests.lab.hosts import disk
from tests.lab.lab import Lab
from tests.lab.leashed import Leashed
from tests.lab.testing import get, lives
from tests.waiting import until


def test_what_is_on_a_leash_ends_when_its_holder_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    daemon = f"(setsid sh -c 'echo $$ >> {file}; exec sleep 60' &); echo $$ >> {file}; sleep 60"
    holder = f"""
import time
from pathlib import Path
from tests.lab.leashed import Leashed
held = Leashed(["sh", "-c", {daemon!r}], log=Path({str(tmp_path / "log")!r}))
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", holder], cwd=Path(__file__).parents[2])
    until(lambda: file.exists() and len(file.read_text().split()) == 2)
    pids = [int(word) for word in file.read_text().split()]
    assert all(lives(pid) for pid in pids)
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not any(lives(pid) for pid in pids))


def test_programs_on_one_leash_end_together_and_see_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobodys-business")
    held = Leashed(["sleep", "60"], ["env"], log=tmp_path / "log")
    until(lambda: not held.alive)
    assert "PATH=" in (tmp_path / "log").read_text()
    assert "nobodys-business" not in (tmp_path / "log").read_text()
    held.stop()


def test_lab_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_WITHOUT", "root, sshd,haproxy, postgres")
    assert machine.look() == machine.Machine(False, "", "", "")
    assert len(machine.look().sentences()) == 3
    monkeypatch.setenv("LAB_WITHOUT", "ssh")
    with pytest.raises(ValueError, match="LAB_WITHOUT names ssh"):
        machine.look()


def test_a_copied_disk_shares_virtualenvs_and_nothing_else(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for made in ("app/virtualenvs/1/bin", "app/releases/1", "app/shared", "log"):
        (old / made).mkdir(parents=True)
    for file in ("app/virtualenvs/1/bin/python", "app/shared/env", "log/web.log"):
        (old / file).write_text("here")
    (old / "app/current").symlink_to("releases/1")
    (old / "app/releases/1/virtualenv").symlink_to(old / "app/virtualenvs/1")
    disk.copy(old, new)
    assert (new / "app/virtualenvs/1/bin/python").stat().st_nlink == 2
    assert (new / "app/shared/env").stat().st_nlink == 1
    assert (new / "app/current/virtualenv").resolve() == new / "app/virtualenvs/1"
    assert not (new / "log").exists()


@pytest.mark.lab
def test_hosts_restart_under_load_and_grow_from_an_image() -> None:
    with Lab(parts={"aws", "hosts", "balancer"}, fleet={"prod": {"web": 2}}) as lab:
        one = lab.machines.host("prodweb1")
        lab.balancer.wait()
        with _load(lab) as bad:
            _leave(lab, one.instance)
            words = lab.machines.supervisorctl.replace("{{ inventory_hostname }}", one.name)
            _on(lab, one, f"{words} restart web")
            one.wait()
            _join(lab, one.instance)
        assert bad == []

        (one.srv / "app/mark").touch()
        three = _launch(lab, "prodweb3", image=_image(lab, one.instance))
        assert (three.srv / "app/mark").exists()
        told = json.loads(get(f"{three.address}:8000", "/healthz")[1])
        assert told == {"commit": lab.git.seed, "host": "prodweb3"}
        lab.aws.client("ec2").terminate_instances(InstanceIds=[three.instance])
        until(lambda: "prodweb3" not in lab.machines.addresses)
        pid = one.pid
        assert lives(pid)
    assert not lives(pid)


@contextmanager
def _load(lab: Lab) -> Iterator[list[object]]:
    """Ask for short, slow and big pages meanwhile; gives what went wrong."""
    url, ended = lab.balancers["prod"].removeprefix("http://"), threading.Event()
    bad: list[object] = []
    well = dict.fromkeys(("/", "/slow?seconds=1", "/big"), 0)

    def ask(path: str) -> None:
        while not ended.is_set():
            try:
                status, body = get(url, path)
            except Exception as error:
                bad.append((path, error))
                continue
            if status == 200 and (path != "/big" or len(body) == 1 << 20):
                well[path] += 1
            else:
                bad.append((path, status, len(body)))

    clients = [threading.Thread(target=ask, args=(path,)) for path in well]
    for client in clients:
        client.start()
    yield bad
    ended.set()
    for client in clients:
        client.join()
    assert min(well.values()) > 1


def _leave(lab: Lab, instance: str) -> None:
    elb, group = lab.aws.client("elbv2"), _group(lab)
    elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
    until(lambda: _state(lab, instance) == "draining")
    time.sleep(0.2)  # what the balancer had just sent is on its way still


def _join(lab: Lab, instance: str) -> None:
    elb, group = lab.aws.client("elbv2"), _group(lab)
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
    until(lambda: _state(lab, instance) == "healthy")


def _group(lab: Lab) -> str:
    told = lab.aws.client("elbv2").describe_target_groups(Names=["prod-web"])
    return str(told["TargetGroups"][0]["TargetGroupArn"])


def _state(lab: Lab, instance: str) -> str:
    told = lab.aws.client("elbv2").describe_target_health(
        TargetGroupArn=_group(lab), Targets=[{"Id": instance}]
    )
    return str(told["TargetHealthDescriptions"][0]["TargetHealth"]["State"])


def _image(lab: Lab, instance: str) -> str:
    ec2 = lab.aws.client("ec2")
    image = str(ec2.create_image(InstanceId=instance, Name="prodweb1 now")["ImageId"])

    def available() -> bool:
        return bool(ec2.describe_images(ImageIds=[image])["Images"][0]["State"] == "available")

    until(available)
    return image


def _launch(lab: Lab, name: str, image: str) -> Any:
    tags = [{"Key": k, "Value": v} for k, v in (("Env", "prod"), ("Type", "web"), ("Name", name))]
    lab.aws.client("ec2").run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    lab.aws.settled()
    lab.machines.settle()
    return lab.machines.host(name)


def _on(lab: Lab, host: Any, line: str) -> None:
    """Run a line on a host, by ssh where there is one."""
    words = ["sh", "-c", line]
    if ssh := lab.machines.ssh:
        known = f"-oUserKnownHostsFile={ssh.known_hosts}"
        words = ["ssh", "-F", "none", "-p", str(ssh.port), "-i", str(ssh.key), known]
        words += [f"{ssh.user}@{host.address}", line]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
