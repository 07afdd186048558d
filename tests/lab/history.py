"""What happened to the sample application so far, and what could go wrong with it next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

NAME = "kennel"
OWNER = "lab"


@dataclass(frozen=True)
class Author:
    """Somebody who commits; `login` is the name at GitHub."""

    name: str
    login: str

    @property
    def email(self) -> str:
        return f"{self.login}@kennel.example"

    @property
    def id(self) -> int:
        """The number of the account at GitHub."""
        return int.from_bytes(self.login.encode()[:3])


@dataclass(frozen=True)
class Commit:
    """One commit of the history: what it changes, and how many hours ago."""

    author: str
    hours: float
    message: str
    files: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""
    name: str = ""  # of the branch, where it is not master


AUTHORS = {
    "ada": Author("Ada Lindqvist", "ada"),
    "bob": Author("Bob Okafor", "bob"),
    "eve": Author("Eve Marchetti", "eve"),
    "noor": Author("Noor Haddad", "noor-h"),
}


def ignored(_: str, names: list[str]) -> list[str]:
    """Return what of a checkout is not the application's source."""
    none = ("__pycache__", ".ruff_cache", ".mypy_cache", "shared", "ruff.toml")
    return [n for n in names if n in none]


def _look(headline: str, colour: str) -> dict[str, str]:
    title = '"""What a visitor sees change from one commit to the next."""\n\n'
    return {"pages/look.py": f'{title}HEADLINE = "{headline}"\nCOLOUR = "{colour}"\n'}


_AUTHOR_FIELD = '''"""A note may say who wrote it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pages", "0001_notes")]
    operations = [
        # null, so that the release before this one can still write notes during a roll
        migrations.AddField("Note", "author", models.CharField(max_length=80, null=True)),
    ]
'''
_MODELS = '''"""What the sample application keeps."""

from django.db import models


class Note(models.Model):
    """A line that somebody wrote."""

    title = models.CharField(max_length=200)
    written = models.DateTimeField(auto_now_add=True)
    author = models.CharField(max_length=80, null=True)
'''
_LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">
<path d="M3 21V10l9-7 9 7v11h-6v-6H9v6z"/>
</svg>
"""

STEPS = (
    Commit("ada", 216, "Begin: a page that tells its commit and its host"),
    Commit("noor", 170, "Give the page a warmer colour", _look("Kennel", "#8a5a2b")),
    Commit("bob", 121, "Call the house by its name", _look("The Kennel", "#8a5a2b"), "v1.0"),
    Commit(
        "eve", 49, "Let a note say who wrote it\n\nOld notes have no author.",
        {"pages/migrations/0002_author.py": _AUTHOR_FIELD, "pages/models.py": _MODELS},
    ),
    Commit("noor", 3, "Paint the front door green", _look("The Kennel, open", "#2e7d4f")),
)  # fmt: skip
BRANCH = Commit(
    "bob", 1.5, "Draw a logo",
    {"pages/static/pages/logo.svg": _LOGO, **_look("The Kennel, with a logo", "#7b3fa0")},
    name="feature/logo",
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """How one file of master becomes bad."""

    path: str
    apply: Callable[[str], str]
    new: bool = False


_HEALTHZ = "def healthz(request: HttpRequest) -> HttpResponse:\n"
_FRONT = "def front(request: HttpRequest) -> HttpResponse:\n"
_FALLS = '''"""Count what cannot be counted."""

from django.db import migrations


def count(apps, schema_editor):
    raise RuntimeError("migrating notes: 3 notes have no date")


class Migration(migrations.Migration):
    dependencies = [("pages", "0002_author")]
    operations = [migrations.RunPython(count)]
'''

BAD: Mapping[str, tuple[str, Change]] = {
    "exits": (
        "Read the licence at the start",
        Change(
            "project/wsgi.py", lambda t: t + '\nraise RuntimeError("there is no file LICENCE")\n'
        ),
    ),
    "500": (
        "Check the database in healthz",
        Change(
            "pages/views.py",
            lambda t: t.replace(
                _HEALTHZ, _HEALTHZ + '    raise RuntimeError("no such table: notes")\n'
            ),
        ),
    ),
    "hangs": (
        "Wait for the cache in healthz",
        Change(
            "pages/views.py", lambda t: t.replace(_HEALTHZ, _HEALTHZ + "    time.sleep(3600)\n")
        ),
    ),
    "install": (
        "Use a package of our own",
        Change("requirements.txt", lambda t: t + "kennel-package-that-nobody-made==1.0\n"),
    ),
    "front": (  # and in good health: nothing but its visitors notice
        "Count the visitors of the front page",
        Change(
            "pages/views.py",
            lambda t: t.replace(
                _FRONT,
                _FRONT + '    return _signed(HttpResponse("no such table: visits", status=500))\n',
            ),
        ),
    ),
    "migration": (
        "Count the notes of each day",
        Change("pages/migrations/0003_count.py", lambda t: _FALLS, new=True),
    ),
}
