"""The lab's ssh: one key pair to log in with, one host key for all hosts, a quick sshd."""

from __future__ import annotations

import contextlib
import getpass
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

PORT = 2222
CONFIG = """\
Port {port}
ListenAddress {address}
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
# the default key exchange takes longer than everything else at a login
KexAlgorithms curve25519-sha256
# a bash that is not the first reads no .bashrc: that of whoever runs the lab may take a second
SetEnv SHLVL=1
MaxStartups 200
MaxSessions 200
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Ssh:
    """How one logs in on the lab's hosts: what stands below [ssh] in the config."""

    user: str
    port: int
    key: Path
    known_hosts: Path

    def server(self, sshd: str, address: str, folder: Path) -> list[str]:
        """Write a host's sshd_config into its folder; return the program to run."""
        file = folder / "sshd_config"
        file.write_text(CONFIG.format(port=self.port, address=address, folder=self.key.parent))
        return [sshd, "-D", "-f", str(file), "-E", str(folder / "sshd.log")]


def make(folder: Path, addresses: str, *, own_run: bool) -> Ssh:
    """Make the keys; `addresses` is the lab's range, `own_run`: hosts have a /run of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in ("key", "host"):
        if not (folder / name).exists():
            line = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {name}", "-f"]
            subprocess.run([*line, str(folder / name)], check=True, stdin=subprocess.DEVNULL)
    known = folder / "known_hosts"
    pattern = addresses.rpartition(".")[0] + ".*"
    known.write_text(f"[{pattern}]:{PORT} {(folder / 'host.pub').read_text()}")
    if os.geteuid() == 0 and not own_run:
        # sshd run by root wants this folder; where it cannot be made, sshd's log says so.
        with contextlib.suppress(OSError):
            Path("/run/sshd").mkdir(mode=0o755)
    return Ssh(getpass.getuser(), PORT, folder / "key", known)
