"""Airtable as a server on loopback: documented manners, bases that live, faults on demand."""

from headrace.testing.airtable.server import AirtableServer
from headrace.testing.airtable.truth import Truth
from headrace.testing.airtable.world import World
from headrace.testing.command import Fake
from headrace.testing.faults import Fault

FAKE = Fake("airtable", AirtableServer, "every personal access token that begins with pat opens it")

__all__ = ["FAKE", "AirtableServer", "Fault", "Truth", "World"]
