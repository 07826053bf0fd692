"""Salesforce as a server on loopback: documented manners, an org that lives, faults on demand."""

from headrace.testing.command import Fake
from headrace.testing.faults import Fault
from headrace.testing.salesforce.org import NoSuchRow, Org
from headrace.testing.salesforce.server import SalesforceServer
from headrace.testing.salesforce.truth import Truth

FAKE = Fake("salesforce", SalesforceServer, "every refresh token that begins with 5Aep opens it")

__all__ = ["FAKE", "Fault", "NoSuchRow", "Org", "SalesforceServer", "Truth"]
