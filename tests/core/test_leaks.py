"""What looks like a secret is seen in time, and what people say all day is not taken for one."""

from __future__ import annotations

import base64
import hashlib
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.leaks import leak, warning

# Each is put together here, so that nobody who looks for secrets in this repository finds one.
SECRETS = {
    "AKIA" + "IOSFODNN7EXAMPLE": "an AWS access key",
    "deploy prod xoxb-" + "123456789012-abcdefghij": "a Slack token",
    "https://hooks.slack.com/services/" + "T0LAB/B0LAB/abcdefghijkl": "a Slack webhook",
    "is ghp_" + "a" * 36 + " still good?": "a GitHub token",
    "github_pat_" + "11ABCDEFG0abcdefghij_KLMN": "a GitHub token",
    "glpat-" + "abcdefghij0123456789": "a GitLab token",
    "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc": "a payment service's key",
    "AIza" + "SyA1234567890abcdefghijklmnopqrstuv": "a Google key",
    "SG." + "abcdefghijklmnopqrst.uvwxyz0123456789": "a mail service's key",
    "npm_" + "a1B2" * 9: "a package index's token",
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.abc": "a signed token",
    "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIE": "a private key",
    "postgres://app:hunter2@db.example.org/app": "an address with a password in it",
    "TWITTER_KEY=abc123": "the value of a key or a password",
    'set MAIL_KEY = "two words"': "the value of a key or a password",
    "STRIPE_SECRET_V2=whatever": "the value of a key or a password",
    "run prod -- createuser --password swordfish": "the value of a key or a password",
    "run prod -- set password=swordfish": "the value of a key or a password",
    "db_password: swordfish": "the value of a key or a password",
    "api key: 8d3kf9": "the value of a key or a password",
    "my password is hunter2": "a password",
    "the token for the mail service is aB3dE6gH": "a password",
    "the passphrase is “correct-horse-battery-1”": "a password",
    "rotate-key TWITTER_KEY prod q7Zr2LwPx9Kd4MvB8NtY3Hs": "a random key",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY9": "a random key",
    "4f8a1c02d97be35f60a1c2d3e4f50617": "a random key",
}
LINES = (
    "deploy prod master",
    "deploy prod feature/JIRA-1234-add-oauth2-token-refresh-v2",
    "deploy puppystream dependabot/pip/cryptography-50.0.2",
    "deploy prod refactorBillingServiceV2ForEurope2024",
    "deploy prod release/2026.11.24-rc1+build.5678",
    "deploy prod 0123456789abcdef0123456789abcdef01234567",
    "approve 12 a1b2c3d4e5f6",
    "rotate-key TWITTER_KEY prod",
    "rotate-key TWITTER_KEY prod --generate",
    "rotate-key MAIL_KEY puppystream --undo",
    "config prod TWITTER_KEY --set",
    "config prod",
    "shell prod --reason the token is expired and somebody has to look",
    "lock prod the secret of the payment service is rotated by hand",
    "lock prod password reset mails are broken, see #1234",
    "lock prod the api key is invalid, waiting for their support",
    "the password is wrong",
    "the token is a1b2c3d",
    "lock prod the secret is `GITHUB_WEBHOOK_SECRET`, not the other one",
    "the key is missing in release 12",
    "run prod -- migrate --list",
    "run prod -- rotate --key=value --dry-run",
    "run prod -- loaddata fixtures/users_2026-11-24.json",
    "run prod -- shell_plus --settings=project.settings.production",
    "run prod -- set_flag NEW_CHECKOUT=true DEBUG=0",
    "run prod -- import --token $TOKEN --password ***",
    "lock prod see https://example.org/incidents/2026/11/24?id=12345&view=aB3dE6gH9kLmN2pQ5sT8vW",
    "status prod i-0123456789abcdef0 ami-0a1b2c3d4e5f60718",
    "history prod 123e4567-e89b-12d3-a456-426614174000",
    "freeze prod until 2026-12-27T08:00 christmas",
    "scale prod web +1",
    "deploy prod bump-sha256-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "lock prod /srv/app/releases/0000012-a1b2c3d4e5f6 is broken",
    "help rotate-key",
    "SECRET_KEY=${SECRET_KEY}",
)


@pytest.mark.parametrize(("line", "what"), SECRETS.items(), ids=range(len(SECRETS)))
def test_what_is_seen(line: str, what: str):
    assert leak(line) == what, line


@pytest.mark.parametrize("line", LINES)
def test_what_passes(line: str):
    assert leak(line) == "", line


def test_the_warning_does_not_repeat_it():
    told = warning("my password is hunter2", "delete it")
    assert "hunter2" not in told
    assert told.endswith("keeps no copy\ndelete it")
    assert warning("deploy prod master", "delete it") == ""


def test_what_is_random_is_nearly_always_seen():
    chance = random.Random(4)
    kinds = {
        "URL-safe, 32 bytes": lambda: base64.urlsafe_b64encode(chance.randbytes(32)).decode(),
        "letters and digits, 32": lambda: letters(chance, 32),
        "letters and digits, 24": lambda: letters(chance, 24),
        "base64, 30 bytes": lambda: base64.b64encode(chance.randbytes(30)).decode(),
    }
    for kind, make in kinds.items():
        seen = sum(bool(leak(f"here it is: {make()} thanks")) for _ in range(1000))
        assert seen >= 970, f"{kind}: {seen} of 1000 seen"


def test_every_commit_passes():
    chance = random.Random(4)
    for _ in range(3000):
        commit = hashlib.sha1(chance.randbytes(8)).hexdigest()
        short = commit[: chance.choice((7, 8, 10, 12, 16, 20, 40))]
        line = chance.choice(("deploy prod {}", "the token is {}", "approve 12 {}", "{}"))
        assert leak(line.format(short)) == "", short


@given(st.lists(st.sampled_from(["fix", "add", "new", "key", "token", "oauth2", "v2", "ABC-12"])))
def test_branches_of_such_words_pass(words: list[str]):
    for between in "-/_.":
        assert leak(f"deploy prod {between.join(words)}") == ""


@given(st.text(max_size=2000))
def test_anything_can_be_looked_at(text: str):
    leak(text)


def test_a_long_line_is_looked_at_quickly():
    for text in ("a" * 40000, "token " * 8000, "A_" * 20000 + "=", "key is " * 6000, "x:" * 20000):
        leak(text)  # what backtracks would never end


def letters(chance: random.Random, count: int) -> str:
    return "".join(chance.choices(string.ascii_letters + string.digits, k=count))
