"""The README says what the commands say."""

import re
from pathlib import Path

import commands
from bot.command import find

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_every_command_stands_in_the_readme_as_it_is_said():
    rows = [line for line in README.splitlines() if line.startswith("| `")]
    told = re.findall(r"`([^`]+)`", "\n".join(rows))
    for command in find(commands).values():
        if not command.hidden:
            words = {*command.usage.replace("[", "").replace("]", "").split()}
            near = [t for t in told if t.split()[0] == command.name]
            assert any(words == {*t.replace("[", "").replace("]", "").split()} for t in near), (
                f"README does not say `{command.usage}`, but {near}"
            )


def test_what_make_is_told_in_the_readme_is_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make (\w+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_dependency_has_its_reason_beside_it():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    start = lines.index("dependencies = [")
    for line in lines[start + 1 : lines.index("]", start)]:
        assert "#" in line, f"without a reason: {line}"


def test_every_link_of_ours_leads_somewhere():
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name} links to {link}"
