"""`packlead audit`, as a person runs it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from bot.house import House
from tests.e2e.process import Packlead
from tests.lab.config import write

LINES = ("lock prod moving", "unlock prod")


class Terminal:
    """A data folder and a database in which people have said things."""

    def __init__(self, folder: Path) -> None:
        config = write(
            folder / "packlead.toml", str(folder / "app.git"), ["prod", "puppystream"], {}
        )
        self.env = {"PACKLEAD_CONFIG": str(config)}
        self.data = folder / "packlead"
        self.file = self.data / "packlead.db"
        for line in LINES:
            self.adds(line)

    def adds(self, line: str) -> None:
        """Write what a bot in this folder would."""
        store = House({**self.env}).store()
        store.audit.write("said", line, {"line": line})
        store.close()

    def audit(self, *words: str, ends: int) -> list[str]:
        said = Packlead(self.env, "audit", *words).ends(ends)
        assert not said.errors, said
        return said.out.splitlines()

    def changes(self, *statements: str) -> None:
        """Change the database as whoever has its file does."""
        with sqlite3.connect(self.file) as held:
            for statement in statements:
                assert held.execute(statement).rowcount == 1, statement
        held.close()


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def test_export_prints_each_row_as_a_line_of_json(terminal: Terminal):
    Packlead(terminal.env, "run", "lock prod again").ends(0)
    rows = [json.loads(line) for line in terminal.audit("export", ends=0)]
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert [row["data"]["line"] for row in rows] == [*LINES, "lock prod again"]
    assert (rows[2]["kind"], rows[2]["data"]["person"]) == ("said", "ada")
    assert set(rows[0]) == {"number", "at", "kind", "operation", "data", "code"}
    [last] = terminal.audit("export", "--after", "2", ends=0)
    assert json.loads(last) == rows[2]


def test_verify_says_that_it_is_whole_and_in_words_where_it_was_changed(terminal: Terminal):
    [well] = terminal.audit("verify", ends=0)
    assert well == f"this machine has written up to row 2: {terminal.data / 'audit-seen'}"
    terminal.changes("update audit set data = '{}' where number = 2")
    told = "row 2 is not what was written, or not where it was"
    assert terminal.audit("verify", ends=1) == [told, well]
    terminal.changes("delete from audit where number = 1")
    assert terminal.audit("verify", ends=1)[0] == "rows 1 to 1 are missing"


def test_verify_tells_of_an_older_copy_until_somebody_says_that_it_was_they(terminal: Terminal):
    copy = terminal.file.with_name("copy")
    shutil.copy(terminal.file, copy)
    terminal.adds("unlock prod")
    shutil.copy(copy, terminal.file)
    seen = terminal.data / "audit-seen"
    told = (
        "row 3, which this machine has written, is missing or another one: the end was cut, or an "
        f"older copy put back (if you did: rm {seen})"
    )
    assert terminal.audit("verify", ends=1)[0] == told
    terminal.adds("another row 3")
    assert terminal.audit("verify", ends=1)[0] == told, "what was written since hides nothing"
    seen.unlink()
    [well] = terminal.audit("verify", ends=0)
    assert well.startswith("this machine has written none")
    terminal.adds("unlock prod")
    assert terminal.audit("verify", ends=0)[0].startswith("this machine has written up to row 4")


def test_after_a_change_of_the_key_the_later_rows_are_verified(terminal: Terminal):
    terminal.env["PACKLEAD_KEY"] = "another key of this house, and long enough"
    assert len(terminal.audit("verify", ends=1)) > len(LINES)
    terminal.adds("unlock prod")
    terminal.audit("verify", "--after", "2", ends=0)
    terminal.changes("update audit set kind = 'ended' where number = 3")
    assert terminal.audit("verify", "--after", "2", ends=1)[0].startswith("row 3 is not what")
