"""The lab's hosts: one for each running instance, coming and going with them."""

from tests.lab.hosts.fleet import Hosts

__all__ = ["Hosts"]
