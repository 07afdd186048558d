"""How long `ansible-inventory --list` takes with inventory/ec2.py, and with the aws_ec2 plugin.

    python -m tests.bench.inventory [--runs 5] [--sizes 100,1000,5000]

Both ask the same server, which has recorded answers of moto in memory: what it takes itself is a
millisecond or so, is measured, and is taken off both. The plugin is inside the distribution
`ansible`; of its 54 MB only the collection amazon.aws is unpacked, once.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.replay import record

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".lab" / "collections"
DISTRIBUTION = "ansible==12.3.0"
LIMIT = 0.3
REGION = "us-east-1"
CONFIG = """
[app]
repository = "https://example.org/app.git"
[types.web]
services = ["web"]
health = "/healthz"
[types.celery]
services = ["celery"]
[types.manager]
minimum = 1
[environments.prod]
channel = "C0PROD"
balancers.web.target_group = "prod-web"
"""
PLUGIN = """
plugin: amazon.aws.aws_ec2
regions: [us-east-1]
filters: {"tag:Env": prod, instance-state-name: running}
hostnames: ["tag:Name"]
keyed_groups: [{key: tags.Type, separator: ""}]
"""


def main() -> int:
    """Measure every size, print a table and the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sizes", default="100,1000,5000")
    asked = parser.parse_args()
    try:
        collections = plugin()
    except (subprocess.CalledProcessError, OSError, zipfile.BadZipFile) as error:
        print(f"f: not measured: the plugin's collection cannot be had: {error}")
        return 1
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "packlead.toml").write_text(CONFIG)
        (folder / "prod.aws_ec2.yml").write_text(PLUGIN)
        floor = statistics.median(
            listed(folder, "localhost,", {}, None)[0] for _ in range(asked.runs)
        )
        print(f"bare ansible-inventory of one named host: {floor:.2f} s")
        for size in (int(s) for s in asked.sizes.split(",")):
            measure(folder, collections, size, asked.runs, floor)
    return 0


def measure(folder: Path, collections: Path, size: int, runs: int, floor: float) -> None:
    """Print the medians and the ratio for one number of instances."""
    ours: list[float] = []
    theirs: list[float] = []
    with replaying(folder, size) as url:
        env = {"AWS_ENDPOINT_URL": url, "ANSIBLE_COLLECTIONS_PATH": str(collections)}
        for _ in range(runs):  # in turns, so that a busy moment meets both
            for inventory, times in (
                (ROOT / "inventory" / "ec2.py", ours),
                (folder / "prod.aws_ec2.yml", theirs),
            ):
                seconds, found = listed(folder, str(inventory), env, url)
                if found != size:
                    sys.exit(f"{inventory} listed {found} hosts of {size}")
                times.append(seconds)
    script, other = statistics.median(ours), statistics.median(theirs)
    ratio = script / other
    print(
        f"f: {size:>5} instances: inventory/ec2.py {script:.2f} s "
        f"({min(ours):.2f}-{max(ours):.2f}), aws_ec2 {other:.2f} s "
        f"({min(theirs):.2f}-{max(theirs):.2f}): ratio {ratio:.2f} "
        f"({'within' if ratio <= LIMIT else 'above'} {LIMIT}); "
        f"beyond bare Ansible {(script - floor) / (other - floor):.2f}",
        flush=True,
    )


def listed(folder: Path, inventory: str, env: dict[str, str], url: str | None) -> tuple[float, int]:
    """Run `ansible-inventory --list`; return its seconds less the server's, and how many hosts."""
    began, before = time.perf_counter(), spent(url)
    answer = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-inventory"), "-i", inventory, "--list"],
        cwd=folder,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ENVIRONMENT": "prod",
            "PACKLEAD_CONFIG": str(folder / "packlead.toml"),
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_DEFAULT_REGION": REGION,
            **env,
        },
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    seconds = time.perf_counter() - began - (spent(url) - before)
    return seconds, len(json.loads(answer)["_meta"]["hostvars"])


def spent(url: str | None) -> float:
    """Ask the server how long it has worked so far."""
    if url is None:
        return 0.0
    with urllib.request.urlopen(f"{url}/spent", timeout=10) as answer:
        return float(answer.read())


@contextmanager
def replaying(folder: Path, size: int) -> Iterator[str]:
    """Run the replay server, in a process of its own so that it costs the clients nothing."""
    pages = record(folder / f"pages-{size}", size)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.replay", str(pages)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def plugin() -> Path:
    """Return a collections path that holds amazon.aws, fetched if it is not there yet."""
    if not (CACHE / "ansible_collections/amazon/aws/plugins/inventory/aws_ec2.py").exists():
        with tempfile.TemporaryDirectory() as place:
            download = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", place]
            subprocess.run([*download, DISTRIBUTION], check=True)
            with zipfile.ZipFile(next(Path(place).glob("ansible-*.whl"))) as wheel:
                wanted = "ansible_collections/amazon/aws/"
                wheel.extractall(CACHE, [n for n in wheel.namelist() if n.startswith(wanted)])
    return CACHE


if __name__ == "__main__":
    sys.exit(main())
