"""What looks like a secret in a line that somebody typed. It says what, and never which.

Known shapes first, then names and sentences that say it themselves, then what is too random for a
word: small letters, capitals and digits in no order. Commits, branches, addresses and reasons pass.
"""

from __future__ import annotations

import re

KNOWN = (
    ("an AWS access key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    ("a Slack token", r"\b(?:xox[a-z](?:\.xox[a-z])?|xapp)-[A-Za-z0-9-]{10,}"),
    ("a Slack webhook", r"hooks\.slack\.com/(?:services|workflows|triggers)/\w+/\w+/\w{8,}"),
    ("a GitHub token", r"\b(?:gh[a-z]_[A-Za-z0-9]{20,}|github_pat_\w{20,})"),
    ("a GitLab token", r"\bgl[a-z]{2,5}-[A-Za-z0-9_-]{16,}"),
    ("a payment service's key", r"\b(?:sk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{16,}"),
    ("a Google key", r"\b(?:AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[\w-]{20,})"),
    ("a mail service's key", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|\bkey-[0-9a-f]{32}\b"),
    ("a package index's token", r"\b(?:npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,})"),
    ("an API key", r"\bsk-[A-Za-z0-9_-]{20,}|\b(?:SK|AC)[0-9a-f]{32}\b|\bdop_v1_[0-9a-f]{40,}"),
    ("a signed token", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    ("a private key", r"-----BEGIN "),
    ("an address with a password in it", r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:(?![*$<{])[^\s/@]{3,}@"),
)
NOUNS = (
    r"password|passwd|passphrase|passwort|pwd|secret|token|credentials?|pin[ ]code"
    r"|(?:api|access|private|secret|signing|encryption)[ _-]?key"
)
# NAME=value and name: value, where the name says that it is one.
NAMED = re.compile(
    rf"""(?<![\w-])--?(?:{NOUNS})[= ]+(?P<flag>\S+)
    |(?:{NOUNS}|\b\w{{0,40}}_pass|\bpass)["']?\s{{0,3}}[=:]\s{{0,3}}(?P<named>"[^"]*"|'[^']*'|\S+)
    |(?-i:(?<![A-Za-z0-9_])[A-Z][A-Z0-9_]{{0,80}}(?:KEY|SECRET|TOKEN|PASS|PWD|DSN|SALT)
     [A-Z0-9_]{{0,40}}\s{{0,3}}=)\s{{0,3}}(?P<loud>"[^"]*"|'[^']*'|\S+)""",
    re.VERBOSE | re.IGNORECASE,
)
SENTENCE = re.compile(
    rf"\b(?:{NOUNS}|pass|key)\b[^.:=\n]{{0,40}}?\s(?:is|was|ist|lautet|be)\s*:?\s+(?P<told>\S+)",
    re.IGNORECASE,
)
PLACEHOLDER = re.compile(r"""["']?(?:[*•.…xX_-]+|[$<{\[(%].*|)["']?|\d{1,3}""")
PLAIN = {
    "none", "null", "true", "false", "empty", "unset", "missing", "wrong", "invalid", "expired",
    "rotated", "revoked", "leaked", "new", "old", "changed", "required", "needed", "unknown",
    "broken", "gone", "stale", "fine", "okay", "known", "different", "renewed", "correct",
    "refused", "rejected", "denied", "rotate", "rotation", "refresh", "handling", "support",
}  # fmt: skip
ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
WORD = re.compile(r"[A-Za-z0-9+/=_~.-]+")
PARTS = re.compile(r"[^A-Za-z0-9]+")
HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
HASHES = (32, 48, 96, 128)  # hexadecimal letters: no commit is that long, and keys are
PART, SHORTEST = 8, 16  # letters of a part and of a whole that can be judged by their kinds
KIND = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")  # what may stand together in a name
KINDS = 0.35  # for each letter: in names there are 0.2, in what is random 0.5

SHAPES = tuple((what, re.compile(shape)) for what, shape in KNOWN)


def leak(text: str) -> str:
    """Return what a text seems to hold, such as "a Slack token"; nothing where it holds none."""
    for what, shape in SHAPES:
        if shape.search(text):
            return what
    for found in NAMED.finditer(text):
        if _is_value(found["flag"] or found["named"] or found["loud"]):
            return "the value of a key or a password"
    for found in SENTENCE.finditer(text):
        if _is_odd(found["told"]):
            return "a password"
    words = WORD.findall(ADDRESS.sub(" ", text))
    return "a random key" if any(map(_is_random, words)) else ""


def warning(text: str, hint: str) -> str:
    """Return what is said of a line that seems to hold a secret; nothing of one that does not."""
    what = leak(text)
    told = f"that seems to hold {what}: nothing was done with it, and Packlead keeps no copy"
    return f"{told}\n{hint}" if what else ""


def _is_value(text: str) -> bool:
    """Say whether what stands behind a name is more than a placeholder or a word about it."""
    bare = text.strip("\"'.,;!?)")
    return len(bare) >= 4 and not PLACEHOLDER.fullmatch(text) and bare.lower() not in PLAIN


def _is_odd(text: str) -> bool:
    """Say whether a word of a sentence is none of its language: it holds digits or odd signs."""
    bare = text.strip("\"'`.,;:!?()*")
    quoted = text[:1] in "\"'`" and len(bare) >= 4
    odd = re.search(r"\d", bare) and re.search(r"[^\W\d]", bare)
    signs = re.search(r"\w[!$%&^*#?+=]+\w|[a-z][A-Z]", bare)
    name = re.fullmatch(r"#?[0-9a-f]{7,40}|v?\d[\d.]*\w?|#\d+|[A-Z0-9]+(?:_[A-Z0-9]+)+", bare)
    return _is_value(text) and bool(quoted or odd or signs) and not name


def _is_random(word: str) -> bool:
    """Say whether a word mixes its letters too much to have been thought of."""
    if HEX.fullmatch(word):
        return len(word) in HASHES
    parts = [p for p in PARTS.split(word) if len(p) >= PART and not HEX.fullmatch(p)]
    letters = sum(map(len, parts))
    if letters < SHORTEST or not re.search(r"\d", word):
        return False
    return sum(len(KIND.findall(part)) for part in parts) / letters >= KINDS
