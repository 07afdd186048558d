"""What is going out, in words."""

from dataclasses import replace

from bot.adapters.records import Commit, Pull
from bot.config import Config
from bot.going import Going, kinds, lines, people, pull_requests


def commit(number, subject="Paint it"):
    return Commit(f"{number:040x}", "", subject, "ada")


def test_files_are_told_by_kind_and_what_matters_by_name():
    found = kinds(
        ["shop/migrations/0002_x.py", "requirements.txt", "shop/tests/test_a.py", "shop/views.py",
         "shop/templates/a.html", "static/a.css", "README.md", "Makefile"]
    )  # fmt: skip
    assert {name: len(paths) for name, paths in found.items()} == {
        "migrations": 1, "dependencies": 1, "tests": 1, "templates": 1, "static files": 1,
        "documentation": 1, "code": 1, "other files": 1,
    }  # fmt: skip
    told = lines(Going("", (commit(1),), (), ("shop/migrations/0002_x.py", "requirements.txt")))
    assert "MIGRATIONS: shop/migrations/0002_x.py" in told
    assert "DEPENDENCIES: requirements.txt" in told


def test_what_would_be_removed_is_said_first():
    told = lines(Going("", (commit(1),), (commit(2), commit(3)), (), "https://example/compare"))
    assert told[0] == "2 live commits would be REMOVED:"
    assert told[3:5] == ["compare: https://example/compare", "1 commit:"]


def test_fifteen_commits_are_named_below_what_must_not_be_missed():
    forty = tuple(commit(n) for n in range(40))
    told = lines(Going("", forty, (), ("shop/migrations/0002_x.py",)))
    assert told[0] == "MIGRATIONS: shop/migrations/0002_x.py"
    assert told[1] == "40 commits:" and told[-1] == "  and 25 more" and len(told) == 18


def test_pull_requests_are_read_off_the_subjects():
    subjects = ("Add a cart (#12)", "Merge pull request #7 from bob/logo", "See #99", "Paint it")
    way = Going("", tuple(commit(n, s) for n, s in enumerate(subjects)))
    assert pull_requests(way) == ["#7", "#12"]
    known = (Pull(12, "A cart that keeps"), Pull(30, "What no subject names"))
    assert pull_requests(replace(way, pulls=known)) == [
        "#7", "#12 A cart that keeps", "#30 What no subject names",
    ]  # fmt: skip


def test_who_wrote_it_is_known_by_address_and_account_and_never_by_name(config: Config):
    told = {"ada": {"git": ["Ada@Example.org"]}, "bob": {"github": "Bob-O"}, "eve": {"github": "7"}}
    house = Config.model_validate(config.model_dump() | {"people": told, "permissions": []})
    ada = replace(commit(1), email="ada@example.org", author="somebody")
    posing = replace(commit(2), email="", author="bob")
    assert people(house, (ada, posing), ()) == ("ada",)
    assert people(house, (posing,), (("bob-o", "12"), ("nobody", "7"))) == ("bob", "eve")
    assert people(house, (posing,), ()) == ()
    assert people(config, (posing,), (("", ""),)) == (), "who has no account there is nobody"
