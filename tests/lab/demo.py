"""make demo: the lab, Packlead on it, and the page on which to talk to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.lab.lab import Lab

READY = 60.0  # seconds until Packlead must be heard


def demo(quiet: bool = False) -> None:
    """Start it all, say where to look, and stay until ended."""
    print("starting a lab here: hosts, a balancer, a repository, AWS and Slack …", flush=True)
    with Lab() as lab, packlead(lab) as bot:
        lab.slack.install(manifest(lab))
        told = lab.described()
        print(_words(told), flush=True)
        if not quiet and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(told["slack"]["page"])
        sys.exit(bot.wait())


@contextmanager
def packlead(lab: Lab) -> Iterator[subprocess.Popen[str]]:
    """Run `packlead up` on the lab, as anybody would run it; it is ready when this is entered."""
    bot = subprocess.Popen(
        [sys.executable, "-m", "bot", "up"],
        env=os.environ | lab.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    late = threading.Timer(READY, bot.kill)
    late.start()
    try:
        if "ready" not in (bot.stdout.readline() if bot.stdout else ""):
            raise RuntimeError("packlead does not start; its own words are above")
        late.cancel()
        yield bot
    finally:
        late.cancel()
        bot.send_signal(signal.SIGTERM)
        try:
            bot.wait(20)
        except subprocess.TimeoutExpired:
            bot.kill()
            bot.wait()


def manifest(lab: Lab) -> dict[str, Any]:
    """Return what `packlead manifest` prints."""
    made = subprocess.run(
        [sys.executable, "-m", "bot", "manifest"],
        env=os.environ | lab.env,
        capture_output=True,
        text=True,
        check=True,
    )
    read: dict[str, Any] = json.loads(made.stdout)
    return read


def _words(told: dict[str, Any]) -> str:
    prod, page = told["balancers"]["prod"], told["slack"]["page"]
    lines = [
        "",
        *(f"  note: {note}" for note in told["notes"]),
        f"  Slack       {page}",
        f"  production  {prod}/   ({', '.join(h for h in told['hosts'] if h.startswith('prod'))})",
        "",
        f"  Open {page} and type:  /deploy prod master",
        "  Then watch the card, its thread, and the commit that production shows.",
        "  Also:  /packlead status   /deploy prdo   /deploy prod feature/logo --dry-run",
        "",
        "  Ctrl-C ends it all.",
    ]
    return "\n".join(lines)
