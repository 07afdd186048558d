"""What a run is given: its own private folder, wrapped values, and none of the bot's secrets."""

import json
from pathlib import Path

import pytest

from bot.adapters.ansible.place import Place, environment_of, static, wrapped
from bot.adapters.aws.records import Instance
from bot.config import Config
from bot.errors import Misconfigured

JINJA = "{{ lookup('pipe', 'id') }}"


def test_every_text_is_wrapped_however_deep():
    safe = {"__ansible_unsafe": JINJA}
    assert wrapped({"a": [JINJA, 1, True, {"b": (JINJA,)}]}) == {
        "a": [safe, 1, True, {"b": [safe]}]
    }


def test_the_folder_is_ours_alone_and_goes(config: Config, tmp_path: Path):
    host = Instance("i-1", "prodweb1", "prod", "web", "10.0.0.4", "running")
    place = Place(tmp_path / "7-1")
    assert place.path == Place(tmp_path / "7-1").path != Place(tmp_path / "7-2").path
    place.fill(config, "prod", [host], {"commit": JINJA, "release": 7})
    try:
        assert place.path.stat().st_mode & 0o777 == 0o700
        assert place.variables.stat().st_mode & 0o777 == 0o600
        given = json.loads(place.variables.read_text())
        assert given == {"commit": {"__ansible_unsafe": JINJA}, "release": 7}
        hosts = json.loads(place.hosts.read_text())["all"]
        assert hosts["hosts"]["prodweb1"]["instance_id"] == {"__ansible_unsafe": "i-1"}
        assert hosts["children"]["web"]["hosts"] == {"prodweb1": {}}
    finally:
        place.remove()
    assert not place.path.exists()


def test_an_inventory_without_hosts_of_a_type_still_has_its_group():
    dynamic = {
        "web": {"hosts": [], "vars": {"packlead_batch": 1}},
        "all": {"children": ["web"], "vars": {}},
        "_meta": {"hostvars": {}},
    }
    assert static(dynamic)["all"]["children"]["web"] == {"hosts": {}, "vars": {"packlead_batch": 1}}


def test_a_run_gets_what_aws_needs_and_no_other_secret(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("SLACK_BOT_TOKEN", "GITHUB_TOKEN", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret")
    env = environment_of(config, tmp_path, Place(tmp_path / "7-1"))
    assert [key for key, value in env.items() if value == "secret"] == ["AWS_SECRET_ACCESS_KEY"]
    assert env["ANSIBLE_HOST_KEY_CHECKING"] == "True"


def test_a_strategy_that_is_not_installed_is_told(config: Config, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ansible = config.ansible.model_copy(update={"strategy": "mitogen_linear"})
    with pytest.raises(Misconfigured, match="not installed"):
        environment_of(config.model_copy(update={"ansible": ansible}), tmp_path, Place(tmp_path))
