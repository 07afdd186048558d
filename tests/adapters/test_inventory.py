"""The inventory: what a play finds in it, read from EC2 without boto3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bot.adapters.aws import quick
from bot.adapters.aws.fleet import Aws
from bot.adapters.aws.reader import read_error, read_page
from bot.adapters.aws.records import Fleet, Instance
from bot.config import Config
from bot.errors import BotError, Failed, Refused
from bot.inventory import inventory
from tests.bench.replay import record
from tests.lab import aws as lab

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
TOML = """
app.repository = "https://example.org/app.git"
[types.web]
[types.celery]
[types.manager]
[environments.prod]
channel = "C0PROD"
balancers.web.target_group = "prod-web"
"""


def host(name: str, type: str = "web", id: str = "i-1") -> Instance:
    return Instance(id, name, "prod", type, "10.0.0.4", "running")


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    file = tmp_path / "packlead.toml"
    file.write_text(TOML)
    return file


def script(config_file: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "inventory" / "ec2.py"), *(words or ("--list",))],
        env={**os.environ, "PACKLEAD_CONFIG": str(config_file), **env},
        capture_output=True,
        text=True,
        cwd=config_file.parent,
    )


def test_hosts_are_grouped_by_type_and_by_name(config: Config) -> None:
    hosts = Fleet(
        "prod", (host("prodcelery1", "celery"), host("prodweb1"), host("prodweb2", id="i-2"))
    )
    found = inventory(config, "prod", hosts.instances)
    assert found["web"]["hosts"] == found["prodweb"]["hosts"] == ["prodweb1", "prodweb2"]
    assert found["celery"]["hosts"] == ["prodcelery1"]
    assert found["manager"]["hosts"] == []  # known, so that a play may name it
    assert found["_meta"]["hostvars"]["prodweb2"] == {
        "ansible_host": {"__ansible_unsafe": "10.0.0.4"},
        "instance_id": {"__ansible_unsafe": "i-2"},
        "packlead_type": {"__ansible_unsafe": "web"},
    }


def test_types_bring_what_a_roll_needs(config: Config) -> None:
    found = inventory(config, "prod", [])
    assert found["web"]["vars"] == {
        "packlead_services": ["web"],
        "packlead_service_manager": "systemd",
        "packlead_port": 8000,
        "packlead_health": "/healthz",
        "packlead_health_timeout": 60,
        "packlead_drain_timeout": 300,
        "packlead_settle": 0.2,
        "packlead_batch": 1,
        "packlead_balancer": {"kind": "target_group", "name": "prod-web"},
    }
    assert found["celery"]["vars"]["packlead_balancer"] == {}
    elsewhere = inventory(config, "puppystream", [])
    assert elsewhere["web"]["vars"]["packlead_balancer"]["kind"] == "classic"


def test_the_owners_variables_win(config: Config) -> None:
    given = inventory(config, "prod", [])["all"]["vars"]
    assert given["app_root"] == "/srv/{{ inventory_hostname }}"
    assert given["app_user"] == "deploy"
    assert given["ansible_port"] == 2222
    assert "UserKnownHostsFile=/keys/known" in given["ansible_ssh_common_args"]


def test_what_is_not_set_is_left_to_ssh() -> None:
    plain = Config.model_validate(
        {
            "app": {"repository": "r"},
            "types": {"web": {}},
            "environments": {"prod": {"channel": "C0PROD"}},
        }
    )
    given = inventory(plain, "prod", [])["all"]["vars"]
    assert {k for k in given if k.startswith("ansible_")} == {"ansible_port"}


def test_types_that_the_config_does_not_know_are_not_touched(config: Config) -> None:
    found = inventory(config, "prod", [host("proddb1", "db"), host("prodweb1")])
    assert list(found["_meta"]["hostvars"]) == ["prodweb1"]


def test_a_name_never_joins_the_group_of_another_type(config: Config) -> None:
    found = inventory(config, "prod", [host("web1", "celery"), host("all1", "celery", "i-2")])
    assert found["web"]["hosts"] == []
    assert "hosts" not in found["all"]


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        ([host("prodweb1"), host("prodweb1", id="i-2")], "i-1, i-2 all have the Name prodweb1"),
        ([host("{{ lookup('pipe','id') }}")], "cannot be a host's name"),
        ([host("-oProxyCommand=id")], "cannot be a host's name"),
    ],
)
def test_names_that_cannot_be_hosts_are_refused(
    config: Config, hosts: list[Instance], text: str
) -> None:
    with pytest.raises(Refused, match="listing the hosts of prod: ") as told:
        inventory(config, "prod", hosts)
    assert text in told.value.text


def test_the_quick_reader_and_boto3_see_the_same(aws: Aws, cloud: lab.Aws) -> None:
    assert quick.instances("prod", REGION) == aws.fleet("prod").instances
    assert quick.instances("nowhere", REGION) == ()


def test_every_page_is_read(tmp_path: Path) -> None:
    files = sorted(record(tmp_path / "pages", 1001).iterdir())
    first, last = (read_page(file.read_bytes()) for file in files)
    assert (len(first.instances), first.next) == (1000, "1")
    assert (len(last.instances), last.next) == (1, "")
    assert first.instances[1] == Instance(
        id="i-00000000000000001",
        name="prodweb2",
        environment="prod",
        type="web",
        address="10.0.0.1",
        state="running",
        launched=first.instances[1].launched,
        image="ami-12c6146b",
        subnet=first.instances[1].subnet,
    )


def test_an_error_that_is_no_xml_is_no_crash() -> None:
    assert read_error(b"<html>Bad gateway") == ("", "")


def test_the_signature_is_what_botocore_would_sign() -> None:
    access = quick.Access("AKIAEXAMPLE", "secret", "token", "https://ec2.example.org/", REGION)
    body = b"Action=DescribeInstances&Filter.1.Value.1=prod"
    headers = quick._signed(access, body)
    signed = headers.pop("authorization")
    request = AWSRequest("POST", access.endpoint, headers, body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials("AKIAEXAMPLE", "secret", "token"), "ec2", REGION)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    assert signed.endswith(f"Signature={auth.signature(text, request)}")


@pytest.mark.parametrize(
    ("env", "kind", "text"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIAEXPIRED"}, Refused, "the AWS credentials have expired"),
        ({"AWS_ACCESS_KEY_ID": "AKIAINVALID"}, Refused, "AWS does not know these credentials"),
        ({"AWS_ACCESS_KEY_ID": ""}, Refused, "there are no AWS credentials here"),
        ({"AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:9"}, Failed, "AWS cannot be reached"),
    ],
)
def test_the_quick_reader_says_the_same_sentences(
    cloud: lab.Aws,
    monkeypatch: pytest.MonkeyPatch,
    env: dict[str, str],
    kind: type[BotError],
    text: str,
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    with pytest.raises(kind, match=f"^asking AWS for the instances of prod: {text}"):
        quick.instances("prod", REGION, sleep=lambda _: None)


@pytest.mark.parametrize("kind", ["throttle", "error", "lost", "cut"])
def test_what_passes_by_itself_is_asked_again(cloud: lab.Aws, kind: str) -> None:
    slept: list[float] = []
    cloud.fault("DescribeInstances", kind, times=2)
    assert len(quick.instances("prod", REGION, sleep=slept.append)) == 4
    assert slept == [0.4, 0.8]


def test_credentials_of_a_profile_are_found(
    cloud: lab.Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    env = cloud.env
    file.write_text(
        f"[ops]\naws_access_key_id = {env['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {env['AWS_SECRET_ACCESS_KEY']}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "ops")
    assert len(quick.instances("prod", REGION)) == 4


def test_ansible_takes_the_script_without_a_warning(cloud: lab.Aws, config_file: Path) -> None:
    found = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-inventory"),
            "-i",
            str(ROOT / "inventory" / "ec2.py"),
            "--list",
        ],
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PACKLEAD_CONFIG": str(config_file),
            "ENVIRONMENT": "prod",
        },
        capture_output=True,
        text=True,
        check=True,
        cwd=config_file.parent,
    )
    listed: dict[str, Any] = json.loads(found.stdout)
    assert found.stderr == ""
    assert listed["prodweb"]["hosts"] == ["prodweb1", "prodweb2"]
    inert = {"__ansible_unsafe": "web"}  # as Ansible lists whatever it never takes for a template
    assert listed["_meta"]["hostvars"]["prodweb1"]["packlead_type"] == inert


def test_one_host_is_told_by_name(cloud: lab.Aws, config_file: Path) -> None:
    told = script(config_file, "--host", "prodweb1", ENVIRONMENT="prod")
    assert json.loads(told.stdout)["packlead_type"] == {"__ansible_unsafe": "web"}
    assert json.loads(script(config_file, "--host", "nobody", ENVIRONMENT="prod").stdout) == {}


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ("", "ENVIRONMENT is not set: which hosts are meant?\nset it to one of: prod"),
        ("prdo", "there is no environment 'prdo'\ndid you mean \"prod\"?"),
    ],
)
def test_an_environment_must_be_said(config_file: Path, environment: str, text: str) -> None:
    told = script(config_file, ENVIRONMENT=environment)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.strip() == f"inventory/ec2.py: {text}"


def test_an_interpreter_without_packlead_is_told(config_file: Path) -> None:
    bare = subprocess.run(
        [sys.executable, "-S", str(ROOT / "inventory" / "ec2.py"), "--list"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert bare.returncode == 1
    assert "has no pydantic" in bare.stderr
    assert "activate the virtualenv" in bare.stderr
