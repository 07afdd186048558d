"""What lies on a host's disk: /srv as a first deploy would have left it, and copies of it.

app/repository  app/releases/0000001-<commit>/  app/virtualenvs/<hash>/  app/current -> releases/…
app/shared/{env,db.sqlite3,static,media}  app/state.json
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.git import Git, run
from tests.lab.wheels import Template

KEYS = {
    "SECRET_KEY": "kennel-secret-key-of-the-lab",
    "TWITTER_KEY": "twitter-key-before-any-rotation",
    "MAIL_KEY": "mail-key-before-any-rotation",
}
READY = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", interactive=False, verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
"""
LEFT = ("supervisor.sock", "supervisord.pid", "log")  # of the machine that a copy was made of


def seed(folder: Path, git: Git, template: Template) -> None:
    """Lay out /srv/app in `folder`/app at the commit where the fleet starts."""
    app = folder / "app"
    release = app / "releases" / f"0000001-{git.seed[:12]}"
    for made in (release, app / "virtualenvs", app / "shared/static", app / "shared/media"):
        made.mkdir(parents=True)
    run("git", "clone", "-q", "--mirror", git.url, app / "repository")
    archive = folder / "archive.tar"
    run("git", "-C", app / "repository", "archive", "-o", archive, git.seed)
    subprocess.run(["tar", "-xf", archive, "-C", release], check=True)
    archive.unlink()
    (release / "REVISION").write_text(git.seed + "\n")
    key = hashlib.sha256((release / "requirements.txt").read_bytes()).hexdigest()[:16]
    # One for all hosts of this machine: copying its ten thousand files was most of a start.
    (template.virtualenv / ".complete").touch()
    (app / "virtualenvs" / key).symlink_to(template.virtualenv)
    (release / "virtualenv").symlink_to(f"../../virtualenvs/{key}")
    (app / "current").symlink_to(release.relative_to(app))
    keys = app / "shared" / "env"
    keys.touch(0o600)
    keys.write_text("".join(f"{k}={v}\n" for k, v in KEYS.items()))
    (app / "state.json").write_text(json.dumps({"epoch": 0}) + "\n")
    python = template.virtualenv / "bin/python"
    env = {"DJANGO_SETTINGS_MODULE": "project.settings", "PATH": os.environ.get("PATH", os.defpath)}
    subprocess.run([python, "-c", READY], cwd=release, env=env, check=True)


def copy(source: Path, target: Path) -> None:
    """Copy a /srv; virtualenvs are shared by hard links, as nobody writes into their files."""
    target.mkdir(parents=True, exist_ok=True)
    for part in source.iterdir():
        if part.name in LEFT:
            continue
        if part.name != "app":
            _cp("-a", part, target / part.name)
            continue
        (target / "app").mkdir(exist_ok=True)
        inside = [p for p in part.iterdir() if p.name != "virtualenvs"]
        _cp("-a", *inside, target / "app")
        _link(part / "virtualenvs", target / "app" / "virtualenvs")
    _point_inside(source, target)


def _link(source: Path, target: Path) -> None:
    """Copy a folder by hard links; where it lies on another file system, in full."""
    try:
        _cp("-al", source, target)
    except RuntimeError:
        shutil.rmtree(target, ignore_errors=True)
        _cp("-a", source, target)


def _cp(how: str, *paths: Path) -> None:
    done = subprocess.run(["cp", how, *map(str, paths)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"copying {paths[0]}: {done.stderr.strip()[-500:]}")


def _point_inside(source: Path, target: Path) -> None:
    """Turn links that name the source by its full path: hosts without namespaces have such."""
    app = target / "app"
    for link in (app / "current", *(app / "releases").glob("*/virtualenv")):
        old = os.readlink(link) if link.is_symlink() else ""
        if old.startswith(f"{source}/"):
            link.unlink()
            link.symlink_to(f"{target}{old[len(str(source)) :]}")
