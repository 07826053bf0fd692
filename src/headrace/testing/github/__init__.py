"""GitHub as a server on loopback: documented manners, an organisation with repositories, faults on demand."""

from headrace.testing.command import Fake
from headrace.testing.github.server import GithubServer
from headrace.testing.github.truth import Truth
from headrace.testing.github.world import World

FAKE = Fake("github", GithubServer, "every token that begins with ghp_, gho_, ghu_ or github_pat_ opens it")

__all__ = ["FAKE", "GithubServer", "Truth", "World"]
