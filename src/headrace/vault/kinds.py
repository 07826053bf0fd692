"""What the vault is told of a credential kind: pure data, written by the connectors, which the vault never imports."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headrace.http import Request, Response
from headrace.vault.grants import ACCESS_TOKEN, Grant, Link, Properties, Refused

__all__ = ["Account", "CredentialKind", "Properties", "Refused"]


@dataclass(frozen=True, slots=True)
class Account:
    """Whose credential it is, as the provider says it.

    `id` is the account's id at the provider (the ledger and the upsert key are made of it), empty where the provider
    takes the secret but does not say; `learned` are properties that the provider's answer fills in or puts right
    (name, scopes), each named in the kind's schema; `mode` is `live` or `test`, shown as the property `test` where the
    schema has one; `narrow` says that a credential may see only a part of the account (a restricted key), so that the
    secret's fingerprint belongs to the upsert key.
    """

    id: str
    learned: Properties = field(default_factory=dict)
    mode: str = "live"
    narrow: bool = False


@dataclass(frozen=True, slots=True)
class CredentialKind:
    """One kind of credential.

    `schema` is the JSON Schema of `properties` without `kind`; `secret` names those that are secret; `aliases` maps
    older spellings to present names. `sign` returns the request with the credential put in (a header, as a rule).
    `verify` yields requests, receives responses and returns the Account; it raises `Refused` when the provider
    definitely refuses. Both are given the present in the provider's clock, since some signatures carry the time.
    `idle_life_s` is how long an unused grant lives, None: for ever.

    `grant` says how short-lived access tokens are had from the properties; `sign` and `verify` then find the token
    among the properties as `access_token`. `link` says how a person grants it in a browser. `needs_oauth_app`: the
    grant is worth nothing without the app through which it was given.
    """

    kind: str
    schema: Mapping[str, Any]
    secret: frozenset[str]
    sign: Callable[[Request, Properties, datetime], Request]
    verify: Callable[[Properties, datetime], Generator[Request, Response, Account]]
    account_of: Callable[[Properties], str | None] = lambda properties: None
    """The account id as far as the properties tell it, without asking the provider; None: unknown."""
    mode_of: Callable[[Properties], str | None] = lambda properties: None
    """`live` or `test` as far as the properties tell it, without asking the provider; None: unknown."""
    contradictions: Callable[[Properties], Mapping[str, str]] = lambda properties: {}
    """Properties that do not go together, though each may hold: by name, why. They may be incomplete."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    spellings: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    """By property: the present form of a value in an older one; any other value comes back as it is."""
    older_names: tuple[str, ...] = ()
    """Older spellings of the kind itself."""
    ends: Callable[[Response], datetime | None] = lambda response: None
    """When the secret itself ends, as an answer to a request with it tells; None where it does not."""
    idle_life_s: float | None = None
    needs_oauth_app: bool = False
    grant: Grant | None = None
    link: Link | None = None

    @property
    def hidden(self) -> frozenset[str]:
        """The properties of a credential in use that nobody may see: its secrets, and the token made of them."""
        return self.secret if self.grant is None else self.secret | {ACCESS_TOKEN}

    def mints(self, properties: Properties) -> bool:
        """Whether access tokens are made of these properties (else what they hold is used as it is)."""
        return self.grant is not None and self.grant.applies(properties)
