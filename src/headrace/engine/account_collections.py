"""A provider as one account has it: with the collections that were found in the account (tables, custom objects)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from uuid import UUID

import orjson

from headrace.control.syncs import Sync
from headrace.db.pool import Conn
from headrace.engine.access import Access
from headrace.providers.kit import Found, Provider
from headrace.vault import collections
from headrace.vault.collections import AccountCollection


async def provider_of(
    conn: Conn, providers: Mapping[str, Provider], sync: Sync, more: Iterable[str] = ()
) -> Provider | None:
    """The provider with those of the account's own collections that the sync wants, and with `more` of them. None when
    its connector is not installed."""
    provider = providers.get(sync.provider)
    if provider is None:
        return None
    wanted = {*sync.collection_ids, *more}
    return (await _extended(conn, provider, sync.org_id, sync.credential_id, wanted))[0]


async def for_sync(conn: Conn, access: Access, sync: Sync) -> Access:
    """The access of the credential with the provider as this sync is to read it."""
    if access.provider.discovery is None:
        return access
    ids = sync.collection_ids
    provider, found = await _extended(conn, access.provider, access.org_id, access.credential_id, ids)
    return replace(access, provider=provider, found=found)


async def _extended(
    conn: Conn, provider: Provider, org_id: UUID, credential_id: UUID, wanted: Iterable[str]
) -> tuple[Provider, tuple[AccountCollection, ...]]:
    """With the wanted ones, and with the parents in which they are found."""
    rows: dict[str, AccountCollection] = {}
    extended, missing = provider, set(wanted)
    while provider.discovery is not None and missing:
        more = {row.id: row for row in await collections.by_ids(conn, org_id, credential_id, missing)}
        if not more:
            break
        rows |= more
        found = {key: _found(row) for key, row in rows.items()}
        made = [provider.discovery.collection(key, each) for key, each in found.items()]
        missing = {each.children.parent for each in made if each.children is not None}
        missing = {key for key in missing if key not in rows and provider.collection(key) is None}
        if not missing:
            extended = provider.of_account(found)
    return extended, tuple(rows[key] for key in sorted(rows))


def _found(row: AccountCollection) -> Found:
    return Found(
        scope=row.upstream_scope,
        upstream_id=row.upstream_id,
        name=row.name,
        schema=orjson.loads(row.schema),
        upstream=orjson.loads(row.upstream_metadata or "{}"),
        collection_id=row.id,
    )
