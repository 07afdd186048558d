"""What is going out, in words."""

from bot.adapters.records import Commit
from bot.going import Going, kinds, lines, pull_requests


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
    assert told[-1] == "compare: https://example/compare"


def test_fifteen_commits_are_named():
    told = lines(Going("", tuple(commit(n) for n in range(40))))
    assert told[0] == "40 commits:" and told[-1] == "  and 25 more" and len(told) == 17


def test_pull_requests_are_read_off_the_subjects():
    subjects = ("Add a cart (#12)", "Merge pull request #7 from bob/logo", "See #99", "Paint it")
    assert pull_requests(commit(n, s) for n, s in enumerate(subjects)) == [7, 12]
