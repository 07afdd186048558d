"""Which hosts are switched behind a balancer, in which batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

NOBODY = ["all", "!all"]  # Ansible takes an empty list of hosts for all of them


def or_nobody(hosts: list[str]) -> list[str]:
    """Return the hosts, or what Ansible takes for none."""
    return hosts or NOBODY


def with_balancer(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """Return the hosts that stand behind a balancer, type by type."""
    types: dict[str, list[str]] = {}
    for host in hosts:
        if hostvars[host]["packlead_balancer"]:
            types.setdefault(hostvars[host]["packlead_type"], []).append(host)
    return or_nobody([host for members in types.values() for host in members])


def without_balancer(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """Return the hosts that no balancer sends to."""
    return or_nobody([host for host in hosts if not hostvars[host]["packlead_balancer"]])


def out_first(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """Return the hosts in the order in which they take turns.

    First those that have a key already, which only join; then those that are out of their balancer
    or were left in the middle, since nobody else may leave it before they are back.
    """
    names = list(hosts)
    out = {name for host in names for name in (hostvars[host].get("seen") or {}).get("out", ())}

    def rank(host: str) -> int:
        looked = hostvars[host].get("looked") or {}
        return 0 if looked.get("stands") else 1 if looked.get("begun") or host in out else 2

    return sorted(names, key=rank)


def stayed_behind(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """Return the hosts that went back to the release they had."""
    return or_nobody([host for host in hosts if "went_back" in hostvars[host]])


def batches(
    hosts: Iterable[str], hostvars: Mapping[str, Any], away: Mapping[str, int] | None = None
) -> list[int]:
    """Return how many hosts are switched at once, one number a batch; none mixes two types.

    `away` is how many of a type may be out of their balancer, where that is not its `batch`.
    """
    sizes: list[int] = []
    last = ""
    for host in with_balancer(hosts, hostvars):
        if host in NOBODY:
            return [1]
        type = str(hostvars[host]["packlead_type"])
        most = int((away or {}).get(type) or hostvars[host]["packlead_batch"])
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
            "or_nobody": or_nobody,
            "with_balancer": with_balancer,
            "without_balancer": without_balancer,
            "out_first": out_first,
            "stayed_behind": stayed_behind,
            "batches": batches,
        }
