"""What the vault is told of a grant: how a person gives it, and how access tokens are made of it. Pure data and
generators without I/O, written by the connectors.

The names are those of OAuth 2.0 (RFC 6749); GitHub's App installations, whose tokens are minted with a signed
statement of the app, fit the same shape.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from headrace.http import Request, Response

Properties = Mapping[str, Any]

ACCESS_TOKEN = "access_token"  # noqa: S105 - a property's name
"""The property under which `sign` and `verify` find the token that was minted."""
REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a property's name


class Refused(Exception):
    """The provider definitely refuses the secret. The message is the reason, without the secret."""


class GrantRefused(Refused):
    """The token endpoint refuses. `whose` fault it is decides who must act: the `grant` is dead (`invalid_grant`: it
    was revoked, used up, or has expired), or the `app` is not accepted (`invalid_client` and its like)."""

    def __init__(self, message: str, whose: Literal["grant", "app"] = "grant") -> None:
        super().__init__(message)
        self.whose = whose


@dataclass(frozen=True, slots=True)
class App:
    """An OAuth app, opened. `app_id` and `private_key` (PEM) are GitHub's; `base_url` is its development address."""

    client_id: str
    client_secret: str = field(repr=False)
    app_id: str | None = None
    private_key: str | None = field(default=None, repr=False)
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class Minted:
    """What a token endpoint gave.

    `lives_s` is the access token's remaining life in seconds, `grant_lives_s` that of the grant itself, each None where
    the provider does not tell. `learned` are
    properties to be kept with it, each named in the kind's schema: a rotated refresh token, an instance's address, the
    scope.
    """

    access_token: str = field(repr=False)
    lives_s: float | None = None
    learned: Properties = field(default_factory=dict, repr=False)
    grant_lives_s: float | None = None


Minting = Generator[Request, Response, Minted]


@dataclass(frozen=True, slots=True)
class Grant:
    """How access tokens are had.

    `mint` yields requests and returns the token; it raises GrantRefused. Its requests carry their own authentication
    (`Request.anonymous`). `of` names the properties without which there is nothing to mint from. `spends`: a refresh
    token is used up by minting, and the answer brings its successor (RFC 6749 §6, rotation). `replays`: a spent refresh
    token is answered again for a while, so that a lost answer can be asked for once more. `life_s` is how long an
    access token is taken to live where its answer does not tell. `hosts` are those of the token endpoint, beside the
    provider's. `ends` is when the grant itself says that it ends, None where it says nothing.
    """

    mint: Callable[[Properties, App | None, datetime], Minting]
    of: tuple[str, ...] = (REFRESH_TOKEN,)
    spends: bool = False
    replays: bool = False
    life_s: float = 3600.0
    hosts: tuple[str, ...] = ()
    ends: Callable[[Properties], datetime | None] = lambda properties: None

    def applies(self, properties: Properties) -> bool:
        return all(properties.get(name) for name in self.of)


@dataclass(frozen=True, slots=True)
class Code:
    """What comes back from the browser, with which the grant is exchanged: the authorisation code, the redirect URI it
    was asked for with, and the PKCE verifier (None where the link has none)."""

    code: str = field(repr=False)
    redirect_uri: str
    verifier: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Link:
    """How a person grants it in a browser (RFC 6749 §4.1).

    `asks` are the properties that must be known before the browser can be sent on (whose shop, which instance); each is
    in the kind's schema. `address` returns the authorisation endpoint for an app and what was told; it may ask the
    provider. `parameters` are added to the query beside those of the standard. `pkce`: the provider takes a code
    challenge (RFC 7636, S256). `callback` checks and reads what the callback carries beside the code (a company id, a
    signed shop), and raises Refused. `exchange` makes tokens of the code; what they are worth is learned by `verify` of
    the kind, as on import.
    """

    address: Callable[[App, Properties, datetime], Generator[Request, Response, str]]
    exchange: Callable[[Code, App, Properties, datetime], Minting]
    parameters: Callable[[App, Properties], Mapping[str, str]] = lambda app, told: {}
    standard: bool = True
    pkce: bool = False
    asks: tuple[str, ...] = ()
    callback: Callable[[Mapping[str, str], App, Properties], Properties] = lambda query, app, told: {}
