"""HubSpot as a server on loopback: documented manners, a portal that lives, faults on demand."""

from headrace.testing.command import Fake
from headrace.testing.faults import Fault
from headrace.testing.hubspot.portal import Portal
from headrace.testing.hubspot.server import HubspotServer
from headrace.testing.hubspot.truth import Truth

FAKE = Fake("hubspot", HubspotServer, "every private app token that begins with pat- opens it")

__all__ = ["FAKE", "Fault", "HubspotServer", "Portal", "Truth"]
