"""The lab's AWS: moto, and before it a proxy for what moto does not do, and for faults."""

from tests.lab.aws.faults import Fault
from tests.lab.aws.proxy import PEEK, Call
from tests.lab.aws.server import Aws

__all__ = ["PEEK", "Aws", "Call", "Fault"]
