#!/usr/bin/env python3
"""The hosts of one environment, asked of EC2: a dynamic inventory for Ansible.

    ENVIRONMENT=prod ansible-playbook -i inventory/ec2.py playbooks/deploy.yml -e branch=master

ENVIRONMENT is a name below [environments] in packlead.toml; PACKLEAD_CONFIG may say where that is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works as it is

try:
    from bot.adapters.aws import quick
    from bot.config import Config
    from bot.config_file import load
    from bot.errors import BotError, Misunderstood, did_you_mean
    from bot.inventory import inventory
except ModuleNotFoundError as missing:
    sys.exit(
        f"inventory/ec2.py: {sys.executable} has no {missing.name}\n"
        "activate the virtualenv that Packlead is installed in, and say it again"
    )


def main() -> None:
    """Print the whole inventory, or the variables of one host."""
    parser = argparse.ArgumentParser(description="lists the hosts of $ENVIRONMENT for Ansible")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--list", action="store_true", help="all hosts, groups and variables")
    asked.add_argument("--host", metavar="NAME", help="the variables of one host")
    arguments = parser.parse_args()
    try:
        config = load()
        environment = _environment(config)
        found = inventory(config, environment, quick.instances(environment, config.aws.region))
    except ModuleNotFoundError as missing:  # botocore is imported only where it is needed
        sys.exit(f"inventory/ec2.py: {sys.executable} has no {missing.name}: activate Packlead's")
    except BotError as error:
        sys.exit(f"inventory/ec2.py: {error}")
    if arguments.list:
        print(json.dumps(found, default=str))
    else:
        print(json.dumps(found["_meta"]["hostvars"].get(arguments.host, {})))


def _environment(config: Config) -> str:
    known = ", ".join(config.environments)
    name = os.environ.get("ENVIRONMENT", "")
    if not name:
        raise Misunderstood(
            "ENVIRONMENT is not set: which hosts are meant?", f"set it to one of: {known}"
        )
    if name not in config.environments:
        near = did_you_mean(name, config.environments)
        raise Misunderstood(f"there is no environment {name!r}", near or f"there are: {known}")
    return name


if __name__ == "__main__":
    main()
