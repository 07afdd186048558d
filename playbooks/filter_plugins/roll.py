"""Which hosts are switched behind a balancer, in which batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

NOBODY = ["all", "!all"]  # Ansible takes an empty list of hosts for all of them


def with_balancer(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """Return the hosts that stand behind a balancer, type by type."""
    types: dict[str, list[str]] = {}
    for host in hosts:
        if hostvars[host]["packlead_balancer"]:
            types.setdefault(hostvars[host]["packlead_type"], []).append(host)
    return [host for members in types.values() for host in members] or NOBODY


def without_balancer(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """Return the hosts that no balancer sends to."""
    return [host for host in hosts if not hostvars[host]["packlead_balancer"]] or NOBODY


def stayed_behind(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """Return the hosts that went back to the release they had."""
    return [host for host in hosts if "went_back" in hostvars[host]] or NOBODY


def batches(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[int]:
    """Return how many hosts are switched at once, one number a batch; none mixes two types."""
    sizes: list[int] = []
    last = ""
    for host in with_balancer(hosts, hostvars):
        if host in NOBODY:
            return [1]
        type, most = str(hostvars[host]["packlead_type"]), int(hostvars[host]["packlead_batch"])
        if type == last and sizes[-1] < most:
            sizes[-1] += 1
        else:
            sizes.append(1)
        last = type
    return sizes


class FilterModule:
    """How Ansible finds them."""

    def filters(self) -> dict[str, Any]:
        return {
            "with_balancer": with_balancer,
            "without_balancer": without_balancer,
            "stayed_behind": stayed_behind,
            "batches": batches,
        }
