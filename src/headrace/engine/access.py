"""A credential made ready for use: what the transport signs with and the pace counts by."""

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Self
from urllib.parse import quote
from uuid import UUID

from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.egress import Destinations
from headrace.errors import HeadraceError
from headrace.providers.kit import CredentialKind, Provider
from headrace.settings import Settings
from headrace.stream.columns import text
from headrace.vault.collections import AccountCollection
from headrace.vault.credentials import Credential, get, mode, open_properties
from headrace.vault.drafts import at_base_url
from headrace.vault.keys import Keyring

SQL = load(__package__, "access.sql")
ACCOUNT_OFFSET = SQL.account_offset

Mode = Literal["live", "test"]
_STARS = "***********"
_LEAST_SECRET = 4


class NoSuchProvider(HeadraceError):
    """The credential's provider or kind is not installed in this process."""


@dataclass(frozen=True, slots=True)
class Access:
    """An opened credential with its provider.

    `properties` include the secret ones and are left out of the repr. `account_hash` is the ledger's key: the same for
    every credential of the account, in every organisation. `offset_s` is the provider's clock against the database's
    as it was when this was loaded; `Transport.provider_now` knows the present one. `revision` is the credential's.
    `base_url` is the development address, None where the provider's own holds. `well`: nothing speaks against it;
    `warned`: something does, though it is not refused.
    `found` are the account's own collections that `provider` was extended by (`account_collections.py`), `searched_at`
    is when they were last found, `refused_at` since when the credential may not look for them, where they never were.
    """

    org_id: UUID
    credential_id: UUID
    provider: Provider = field(compare=False)
    kind: CredentialKind
    properties: Mapping[str, Any] = field(repr=False)
    account_hash: bytes
    mode: Mode = "live"
    offset_s: float = 0.0
    revision: int = 0
    base_url: str | None = None
    well: bool = True
    warned: bool = False
    found: tuple[AccountCollection, ...] = field(default=(), repr=False)
    searched_at: datetime | None = None
    refused_at: datetime | None = None

    def searched(self, searched_at: datetime | None, refused_at: datetime | None) -> Self:
        """The access as the search for the account's own collections stands."""
        return replace(self, searched_at=searched_at, refused_at=None if searched_at else refused_at)

    @property
    def may_read(self) -> bool:
        """Whether the account's records may be read: where it has collections of its own, not before they were found,
        since the fields of its records follow from them, or turned out to be kept from the credential."""
        return self.provider.discovery is None or self.searched_at is not None or self.refused_at is not None

    def public_properties(self) -> dict[str, Any]:
        """The properties that are not secret: what a page function may know (`Context.properties`)."""
        return {name: value for name, value in self.properties.items() if name not in self.kind.hidden}

    def destinations(self) -> Destinations:
        """Where requests with this credential may go."""
        if self.base_url is not None:
            return Destinations.at_base_url(self.base_url)
        return Destinations(self.provider.hosts)

    def scrub(self, said: str) -> str:
        """What the provider said, with every secret of the credential, plain, URL-quoted or in base64, replaced by
        stars, and U+0000, which the database's text cannot hold, by `%00`."""
        return scrub(said, self.kind, self.properties)


def scrub(said: str, kind: CredentialKind, properties: Mapping[str, Any]) -> str:
    """`said` with the secret ones of `properties` taken out, in a form that can be stored; see `Access.scrub`."""
    for name in kind.hidden:
        value = properties.get(name)
        if not isinstance(value, str) or len(value) < _LEAST_SECRET:
            continue
        encoded = base64.b64encode(value.encode()).decode()
        for form in (value, quote(value, safe=""), encoded, encoded.rstrip("=")):
            said = said.replace(form, _STARS)
    return text(said)


async def load_access(
    conn: Conn, keyring: Keyring, providers: Mapping[str, Provider], credential: Credential, settings: Settings
) -> Access:
    """Open the credential for use: decrypts its secrets, reads the account's clock offset.

    Raises `NoSuchProvider` when the provider or the kind is not installed, and what `Keyring.open` raises.
    """
    provider = providers.get(credential.provider)
    kind = next((kind for kind in provider.kinds if kind.kind == credential.kind), None) if provider else None
    if provider is None or kind is None:
        raise NoSuchProvider(
            f"no connector for {credential.provider} credentials of kind {credential.kind} is installed: "
            "install the package that brings it, then start the server again"
        )
    properties = await open_properties(conn, keyring, credential)
    offset = await conn.fetchval(ACCOUNT_OFFSET, provider.slug, credential.account_hash)
    base_url = at_base_url(kind, properties) if settings.allow_base_url else None
    return Access(
        org_id=credential.org_id,
        credential_id=credential.id,
        provider=provider,
        kind=kind,
        properties=properties,
        account_hash=credential.account_hash,
        mode="test" if mode(credential) == "test" else "live",
        offset_s=float(offset or 0),
        revision=credential.revision,
        base_url=base_url,
        well=credential.health_status == "ok" and not credential.health_notes,
        warned=credential.health_status == "warn",
    )


def reloader(
    db: Database, keyring: Keyring, providers: Mapping[str, Provider], settings: Settings
) -> Callable[[Access], Awaitable[Access]]:
    """What the transport calls after a 401: the same credential as it is stored now."""

    async def reload(access: Access) -> Access:
        async with db.api.acquire() as connection:
            credential = await get(connection, access.org_id, access.credential_id)
            return await load_access(connection, keyring, providers, credential, settings)

    return reload
