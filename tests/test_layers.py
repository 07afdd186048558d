"""An import tells you the folder: who may know whom (the rule of the house)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(
    p
    for folder in ("bot", "commands", "inventory")
    for p in (ROOT / folder).rglob("*.py")
    if "migrations" not in p.parts and "_share" not in p.parts
)
OUTSIDE = {  # library: the only files that may know it
    "boto3": "bot/adapters/aws/",
    "botocore": "bot/adapters/aws/",
    "ansible_runner": "bot/adapters/ansible",
    "ansible": "playbooks/",
    "slack_bolt": "bot/fronts/slack",
    "slack_sdk": "bot/fronts/",
    "aiohttp": "bot/fronts/",
    "apscheduler": ("bot/fronts/clock.py", "bot/adapters/calendar.py"),  # cron lines alone
    "rich": "bot/fronts/terminal",
    "dbos": "bot/engine",
    "sqlalchemy": "bot/",
    "alembic": "bot/schema.py",
    "cryptography": "bot/sealed.py",
    "jinja2": "bot/fronts/page_views.py",
    "pydantic": "bot/",
}
MEETING = ("bot/__main__.py", "bot/house.py")  # where both sides meet
RECORDS = ("bot.adapters.records", "bot.adapters.aws.records")


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def side(name: str) -> str:
    if name.startswith(RECORDS):
        return "core"
    for folder in ("bot.adapters", "bot.fronts", "commands"):
        if name == folder or name.startswith(f"{folder}."):
            return folder
    return "core" if name.startswith("bot") else ""


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_knows_only_its_own_side(file: Path):
    place = str(file.relative_to(ROOT))
    mine = side(place.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    may = {
        "core": {"core"},
        "bot.adapters": {"core", "bot.adapters"},
        "bot.fronts": {"core", "bot.fronts"},
        "commands": {"core"},
    }
    for name in imports(file):
        library = name.split(".")[0]
        if library in OUTSIDE:
            assert place.startswith(OUTSIDE[library]), f"{place} knows {library}"
        assert not name.startswith("bot.__main__"), f"{place} imports the entry point"
        assert place in MEETING or not name.startswith("bot.house"), f"{place} knows the house"
        if place in MEETING or not mine or (name == "commands" and mine == "core"):
            continue
        theirs = side(name)
        if mine == "commands" and theirs == "commands":
            assert name.removeprefix("commands.").split(".")[0] == file.stem, (
                f"{place} knows another command: {name}"
            )
            continue
        assert not theirs or theirs in may[mine], f"{place} ({mine}) knows {name} ({theirs})"


def test_no_file_holds_more_than_one_thought():
    long = {
        str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 400
    }
    assert not long, f"these have grown too long: {long}"
