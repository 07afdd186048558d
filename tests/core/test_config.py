"""The config file: read once, and every mistake in it told at once."""

from pathlib import Path

import pytest

from bot.config import Permission
from bot.config_file import load
from bot.errors import Misconfigured
from bot.people import unknown

ROOT = Path(__file__).parents[2]


def wrong(tmp_path, text):
    (tmp_path / "packlead.toml").write_text(text)
    with pytest.raises(Misconfigured) as caught:
        load(tmp_path / "packlead.toml")
    return caught.value.text.splitlines()


def test_the_annotated_example_loads():
    config = load(ROOT / "packlead.example.toml")
    assert config.data == str(ROOT / ".packlead"), "beside the file, wherever one is"
    assert set(config.environments) == {"prod", "puppystream", "puppycrate"}
    assert config.environments["prod"].name == "prod"


def test_five_mistakes_are_told_at_once(tmp_path):
    told = wrong(
        tmp_path,
        """
        [app]
        repositry = "git@example.com:app.git"
        [slack]
        team = "lab"
        [types.web]
        minimum = 0
        [environments.prod]
        channel = "C0PROD"
        chanel = "C0PROD"
        """,
    )
    assert told == [
        "app.repository: missing",
        'app.repositry: unknown, did you mean "repository"?',
        "slack.team: string should match pattern '^T[A-Z0-9]+$', it is 'lab'",
        "types.web.minimum: input should be greater than or equal to 1, it is 0",
        'environments.prod.chanel: unknown, did you mean "channel"?',
    ]


def test_names_that_point_nowhere_are_told(tmp_path):
    told = wrong(
        tmp_path,
        """
        app.repository = "x"
        [types.web]
        [environments.prod]
        channel = "C0PROD"
        balancers.wbe.target_group = "prod-web"
        [people.ada]
        slack = "U0ADA"
        [[permissions]]
        who = ["adda"]
        may = ["*"]
        on = ["prd"]
        """,
    )
    assert told == [
        'environments.prod.balancers.wbe: no such type, did you mean "web"?',
        "permissions.0.who: 'adda' is neither below [people] nor a user group id, "
        'did you mean "ada"?',
        "permissions.0.on: 'prd' is no environment, did you mean \"prod\"?",
    ]


def test_words_of_may_that_are_no_permission_are_told(config, known):
    """Some have another name than their command: whoever writes `images` means `status`."""
    rows = tuple(
        Permission(who=("bob",), may=may)
        for may in (("*",), ("status", "force", "run"), ("deplyo", "images"))
    )
    told = unknown(
        config.model_copy(update={"permissions": rows}), (c.permission for c in known.values())
    )
    assert told[0] == "permissions.2.may: there is no permission 'deplyo', did you mean \"deploy\"?"
    assert told[1].startswith("permissions.2.may: there is no permission 'images', ")
    assert len(told) == 2


def test_a_type_that_ends_in_a_digit_is_refused(tmp_path):
    told = wrong(
        tmp_path,
        """
        app.repository = "x"
        [types.web2]
        [environments.prod]
        channel = "C0PROD"
        """,
    )
    assert len(told) == 1 and "ends in no digit" in told[0]


def test_no_file_no_toml(tmp_path):
    with pytest.raises(Misconfigured, match="there is no config file"):
        load(tmp_path / "nowhere.toml")
    assert "packlead.toml:" in wrong(tmp_path, "app = ")[0]


def test_pushes_that_come_to_nothing_are_told(tmp_path):
    told = wrong(
        tmp_path,
        """
        app.repository = "x"
        github.repository = "trackmaven/puppies"
        github.service = "adda"
        [types.web]
        [environments.prod]
        channel = "C0PROD"
        allow = ["release/*"]
        auto = "master"
        [people.ada]
        github = "ada-l"
        """,
    )
    assert told == [
        'environments.prod.auto: "master" may not be deployed there, see its `allow`',
        "github.service: 'adda' is not below [people], did you mean \"ada\"?",
    ]


@pytest.mark.parametrize("name", ["puppies", "https://github.com/a/b", "a/b/c", "../b c", ""])
def test_a_repository_is_owner_and_name(tmp_path, name):
    told = wrong(
        tmp_path,
        f"""
        app.repository = "x"
        github.repository = "{name}"
        [types.web]
        [environments.prod]
        channel = "C0PROD"
        """,
    )
    assert len(told) == 1 and told[0].startswith("github.repository: ")
