"""An authorisation server on loopback, for every provider that has one: it rotates, replays, revokes, answers late,
twice or not at all, and counts what became of each grant."""

from headrace.testing.oauth.grants import Behaviour, Family, Grants
from headrace.testing.oauth.server import AuthorizationServer, authorization_server

__all__ = ["AuthorizationServer", "Behaviour", "Family", "Grants", "authorization_server"]
