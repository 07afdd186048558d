"""Values that must never be seen, each in an odd form, and a search of every place for them."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.world import World, processes, read
from tests.lab.beside import Beside

ODD = (
    "{}",
    '"{}"',
    "'{}'",
    "{}\nsecond line\n\n  third",
    "{{ {} }}",
    "{{ lookup('pipe', 'echo {}') }}",
    "{% raw %}{}",
    "$({})",
    "`{}`",
    "${{}} $HOME",
    "-{}",
    "--{} -x",
    "#{}#",
    "{}\\",
    "\\{}\\n\\\\",
    " {} ",
    "{}\t",
    "={}=",
    "KEY={}",
    "{}ü 🔑 日本",
    "<!channel> <@U0ADA> &amp; {}",
    "*{}* _{}_ ~{}~",
    "%s %d %({})s",
    "!vault |{}",
    "- {}: [a, b]",
    "; rm -rf {} & | > <",
)

OWN = (
    "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "GITHUB_WEBHOOK_SECRET", "PACKLEAD_DEPLOYS_SECRET",
)  # fmt: skip


def canaries(count: int, seed: int = 7) -> Iterator[str]:
    """Yield values; in the heart of each stands a word that no other text holds."""
    chance = random.Random(seed)
    for number in range(count):
        word = f"canary{number:02}x{chance.getrandbits(64):016x}"
        yield ODD[number % len(ODD)].replace("{}", word)


def heart(value: str) -> bytes:
    """Return the word of a value by which it is found in any quoting."""
    at = value.index("canary")
    return value[at : at + 25].encode()


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


class Watch(Beside):
    """Looks at all processes and at /dev/shm while something goes on."""

    period = 0.15

    def __init__(self, hearts: list[bytes]) -> None:
        self.hearts, self.seen = hearts, list[str]()

    def turn(self) -> None:
        for process, line in processes():
            held = line.encode() + read(process / "environ")
            self._note(f"process {process.name} {line[:60]}", held)
        for file in in_memory():
            self._note(str(file), read(file))

    def _note(self, where: str, held: bytes) -> None:
        self.seen += [f"{heart.decode()} in {where}" for heart in self.hearts if heart in held]


def in_memory() -> list[Path]:
    """Return the files of runs on tmpfs; whole folders of them go while one looks.

    Only plain ones: a link to /dev/fd/5 is another file to each who opens it, and may never end.
    """
    walks = [os.walk(place) for place in Path("/dev/shm").glob("packlead*")]
    found = [Path(folder, name) for walk in walks for folder, _, names in walk for name in names]
    return [file for file in found if file.is_file() and not file.is_symlink()]


def found(world: World, values: list[str]) -> list[str]:
    """Say where a value is, that must be nowhere but on the hosts and in AWS."""
    return swept(world, [heart(value) for value in values])


def own_secrets(world: World) -> list[bytes]:
    """Return what Packlead itself is trusted with."""
    env, slack = world.lab.env, world.lab.slack
    own = [slack.bot_token, slack.app_token, slack.signing_secret, *(env[name] for name in OWN)]
    assert all(len(secret) > 8 for secret in own), "they can be told from other text"
    return [secret.encode() for secret in own]


def swept(world: World, words: list[bytes]) -> list[str]:
    """Say where one of these stands in what the bot keeps, logs and says."""
    data = Path(world.config.data)
    files = [f for f in data.rglob("*") if f.is_file()]
    files += [*in_memory(), world.bot.log]
    places = {str(file): apart(file) for file in files}
    slack = world.lab.slack
    places["what Slack shows"] = slack.transcript().encode()
    places["what the bot said to Slack"] = repr(slack.calls).encode()
    for user in ("U0ADA", "U0BOB"):
        places[f"what {user} is told"] = repr(slack.ephemerals(user)).encode()
    return [
        f"{word.decode()} in {where}"
        for where, held in places.items()
        for word in words
        if word in held
    ]


def apart(file: Path) -> bytes:
    """Read a file in another process.

    A process that opens and closes a database file loses all of SQLite's locks on it; then another
    one may take the log of changes away below the connection that is still open here.
    """
    return subprocess.run(["cat", str(file)], capture_output=True).stdout


def served(world: World, name: str, key: str) -> str | None:
    """Return the fingerprint of a key in the process of a web host."""
    connection = http.client.HTTPConnection(world.lab.hosts[name], 8000, timeout=60)
    try:
        connection.request("GET", f"/environment?key={key}")
        return json.loads(connection.getresponse().read())["sha256"]
    finally:
        connection.close()


def everywhere(world: World, environment: str, key: str, value: str) -> None:
    """Every host has exactly these bytes, as a shell reads them and as its processes hold them."""
    names = world.hosts.names(environment)
    assert names
    for name in names:
        file = world.lab.machines.host(name).srv / "app/shared/env"
        assert file.stat().st_mode & 0o777 == 0o600, name
        said = subprocess.run(
            ["sh", "-c", f'. {file}; printf %s. "${key}"'], capture_output=True, check=True
        )
        assert said.stdout == value.encode() + b".", name
        if "web" in name:
            assert served(world, name, key) == digest(value), name


class Probe(Beside):
    """A login, ten times a second and with one retry; `seen` are the keys that it met."""

    period = 0.1

    def __init__(self, world: World, environment: str, key: str) -> None:
        self.world, self.key = world, key
        self.url = world.lab.balancers[environment]
        self.seen: set[str] = set()  # fingerprints of the keys that were met
        self.asked, self.wrong = 0, list[str]()

    def turn(self) -> None:
        address = self.url.partition("://")[2].strip("/")
        self.asked += 1
        first = self._once(address)
        second = self._once(address) if first else ""
        if first and second:
            self.wrong.append(f"{time.strftime('%X')} {first}, and again {second}")

    def _once(self, address: str) -> str:
        connection = http.client.HTTPConnection(address, timeout=60)
        try:
            connection.request("GET", f"/environment?key={self.key}")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                return f"status {answer.status}"
            self.seen.add(json.loads(body)["sha256"])
            return ""
        except (OSError, http.client.HTTPException, ValueError) as error:
            return repr(error)
        finally:
            connection.close()
