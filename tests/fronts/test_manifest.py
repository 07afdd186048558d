"""The manifest is made of the commands, and Slack takes it."""

from bot.command import Command
from bot.config import Config
from bot.manifest import manifest
from tests.fronts.conftest import Running
from tests.lab.slack import Slack, validate_manifest


def test_it_is_valid_and_names_every_command(known: dict[str, Command], config: Config):
    for url in ("", "https://packlead.example.org/"):
        made = manifest(known, config, url)
        assert validate_manifest(made) == []
        assert made["settings"]["socket_mode_enabled"] is (url == "")
    slash = {c["command"]: c for c in made["features"]["slash_commands"]}
    shown = {f"/{c.name}" for c in known.values() if not c.hidden}
    assert shown - set(slash) == {"/help", "/remind", "/status"}, "Slack has these itself"
    assert set(slash) - shown == {"/packlead"}
    assert slash["/deploy"]["usage_hint"] == "ENV [REF] [--only TYPE] [--dry-run] [--force REASON]"
    assert slash["/deploy"]["url"] == "https://packlead.example.org/slack/events"


def test_its_scopes_are_enough(
    strict: Slack, known: dict[str, Command], config: Config, launch, worker
):
    strict.install(manifest(known, config))
    running: Running = launch()
    assert running.url and strict.command("U0ADA", "/deploy", "prod").acked
    assert strict.mention("U0ADA", "C0PROD", "deploy puppystream").acked
    strict.wait(lambda: [m for m in strict.ephemerals("U0ADA") if m.via == "api"])
