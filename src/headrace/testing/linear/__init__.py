"""Linear as a server on loopback: documented manners, a workspace of every type, faults on demand."""

from headrace.testing.command import Fake
from headrace.testing.linear.server import LinearServer
from headrace.testing.linear.truth import Truth
from headrace.testing.linear.world import World

FAKE = Fake("linear", LinearServer, "every key that begins with lin_api_ opens it")

__all__ = ["FAKE", "LinearServer", "Truth", "World"]
