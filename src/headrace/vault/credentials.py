"""Credentials: the rows, their sealed secrets, and what makes two of them the same account."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from headrace import jsontext
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import Invalid, NotFound
from headrace.ids import uuid7
from headrace.vault.accounts import Marks, Mode, found_mode, grant_mark, marks, secret_field, settle, told_mode
from headrace.vault.drafts import Draft, Verdict
from headrace.vault.keys import Keyring
from headrace.vault.kinds import CredentialKind
from headrace.vault.masking import STARS
from headrace.vault.sealing import CannotOpen, identity

SQL = load(__package__, "credentials.sql")
ONE, LOCK, MANY, BY_ID, LOCK_SAME = (
    SQL.credential, SQL.lock_credential, SQL.credentials, SQL.credentials_by_id, SQL.lock_same,
)  # fmt: skip
ADD, WRITE, DESCRIBE = SQL.add_credential, SQL.write_credential, SQL.describe_credential
OF_SECRET = SQL.of_secret
SET_HEALTH, WAKE_USERS, FORGET_TOKEN = SQL.set_health, SQL.wake_users, SQL.forget_token
USERS, FORGET_DELETED_SYNCS, DELETE = SQL.users, SQL.forget_deleted_syncs, SQL.delete_credential


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential as it is stored.

    `properties` are those that are not secret, without `kind`; `secret_names` are the secret ones that it has, whose
    values are sealed in `secrets`. `account_id` is the provider's word, None while unknown. `account_hash` is the
    account's key in the ledger of limits, across organisations. `revision` grows with each change of properties or
    secrets. `metadata` is JSON text, digits as they were sent.
    """

    org_id: UUID
    id: UUID
    provider: str
    kind: str
    name: str | None
    properties: dict[str, Any]
    secret_names: frozenset[str]
    secrets: bytes = field(repr=False)
    oauth_app_id: UUID | None
    account_id: str | None
    mode: Mode
    account_hash: bytes = field(repr=False)
    upsert_key: bytes = field(repr=False)
    revision: int
    metadata: str
    health_status: str
    health_notes: tuple[str, ...]
    health_at: datetime
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; None: not by this. `metadata` is JSON text that must be contained."""

    provider: str | None = None
    kind: str | None = None
    health_status: str | None = None
    metadata: str | None = None


NO_FILTERS = Filters()


def mode(credential: Credential) -> Mode:
    """Whether it is of a live or a test account."""
    return credential.mode


def masked(credential: Credential) -> dict[str, Any]:
    """Its properties as they may be shown: with `kind`, and stars for each secret that it has."""
    return {"kind": credential.kind, **credential.properties, **dict.fromkeys(sorted(credential.secret_names), STARS)}


async def open_properties(conn: Conn, keyring: Keyring, credential: Credential) -> dict[str, Any]:
    """Its properties without `kind`, the secret ones included. Raises what `Keyring.open` raises."""
    opened = await keyring.open(conn, credential.org_id, _aad(credential.org_id, credential.id), credential.secrets)
    return {**credential.properties, **orjson.loads(opened)}


async def get(conn: Conn, org_id: UUID, credential_id: UUID, *, lock: bool = False) -> Credential:
    """Raises NotFound. `lock`: nobody else changes it until the end of the transaction."""
    row = await conn.fetchrow(LOCK if lock else ONE, org_id, credential_id)
    if row is None:
        raise NotFound(f"There is no credential {credential_id}. List those there are with GET /v1/credentials.")
    return _from_row(row)


async def list_(
    conn: Conn, org_id: UUID, filters: Filters = NO_FILTERS, *, limit: int, after: UUID | None = None
) -> list[Credential]:
    """Oldest first, from behind `after`."""
    rows = await conn.fetch(
        MANY, org_id, after, filters.provider, filters.kind, filters.health_status, filters.metadata, limit
    )
    return [_from_row(row) for row in rows]


async def by_ids(conn: Conn, org_id: UUID, credential_ids: Collection[UUID]) -> list[Credential]:
    """Those of `credential_ids` that are there, in no order."""
    return [_from_row(row) for row in await conn.fetch(BY_ID, org_id, list(credential_ids))]


async def import_(
    conn: Conn,
    keyring: Keyring,
    org_id: UUID,
    draft: Draft,
    verdict: Verdict,
    now: datetime,
    *,
    proved: bool = True,
) -> Credential:
    """Store a credential, or update the one of the same account: importing twice leaves one.

    The same account is: organisation, kind, OAuth app, mode and account id, for a narrow credential also the secret.
    While the account is unknown (the provider was not asked, or did not answer), the same secret is the same
    credential. A `name` or `metadata` that was not given stays as it is. `proved` False: what the properties say of the
    account is not believed, so that a secret which is not that account's can take no other's place. Call it in a
    transaction.
    """
    kind, account = draft.kind, verdict.account
    found = found_mode(kind, account) if account is not None else told_mode(kind, draft.properties) or "live"
    properties = settle(kind, draft.properties, account, found)
    account_id = (kind.account_of(properties) if account is None and proved else account and account.id) or None
    narrow = bool(account and account.narrow)
    told = marks(
        keyring, draft.provider, kind, draft.oauth_app_id, properties, account_id, found, narrow=narrow,
        given=draft.given,
    )  # fmt: skip
    while True:
        row = await conn.fetchrow(LOCK_SAME, org_id, told.upsert_key, told.fingerprint, told.account_id)
        if row is None:
            if (added := await _add(conn, keyring, org_id, draft, properties, told, verdict, now)) is not None:
                return added
            continue  # another import of the same account was faster: update what it stored
        held = _from_row(row)
        if told.account_id is None and held.account_id is not None:
            # The secret that was found to be of this account before, now unasked: what was learned still holds.
            properties = {**held.properties, **draft.properties}
            told = _marks_of_held_account(keyring, held, kind, properties)
        return await _store(
            conn, keyring, held, kind, properties, told, verdict, now, name=draft.name, metadata=draft.metadata
        )


async def of_same_secret(conn: Conn, keyring: Keyring, org_id: UUID, draft: Draft) -> Credential | None:
    """The credential that was given with the same secret before, though it may have been exchanged since."""
    told = marks(
        keyring, draft.provider, draft.kind, draft.oauth_app_id, draft.properties, None, "live", narrow=True
    )  # fmt: skip
    row = await conn.fetchrow(OF_SECRET, org_id, told.fingerprint, grant_mark(keyring, draft.kind, draft.properties))
    return None if row is None else _from_row(row)


async def reauthorise(
    conn: Conn,
    keyring: Keyring,
    held: Credential,
    kind: CredentialKind,
    properties: Mapping[str, Any],
    verdict: Verdict,
    now: datetime,
) -> Credential:
    """Put other properties or secrets in place of the old, for the same account.

    `held` is the credential as it was when `properties` were made of it. Raises Invalid when the new secret is of
    another account or mode, or when the credential was changed meanwhile. Call it in a transaction.
    """
    present = await get(conn, held.org_id, held.id, lock=True)
    if present.revision != held.revision:
        raise Invalid({"properties": ["were changed by another call meanwhile; read the credential and try again"]})
    account = verdict.account
    found = found_mode(kind, account) if account is not None else told_mode(kind, properties) or present.mode
    settled = settle(kind, properties, account, found)
    account_id = (kind.account_of(settled) if account is None else account.id) or None
    _check_same_account(present, kind, settled, account_id, found)
    if account_id is None and present.account_id is not None:
        told = _marks_of_held_account(keyring, present, kind, settled)
    else:
        narrow = bool(account and account.narrow)
        told = marks(keyring, present.provider, kind, present.oauth_app_id, settled, account_id, found, narrow=narrow)
    try:
        return await _store(conn, keyring, present, kind, settled, told, verdict, now)
    except asyncpg.UniqueViolationError:
        raise Invalid({"properties": ["are those of another credential of this organisation; use that one"]}) from None


async def describe(conn: Conn, credential: Credential, *, name: str | None, metadata: str, now: datetime) -> Credential:
    """Give it this name and metadata. Nothing is written, `updated_at` included, when it has them already."""
    if (credential.name, credential.metadata) == (name, metadata):
        return credential
    described = replace(credential, name=name, metadata=metadata, updated_at=now)
    await conn.execute(DESCRIBE, credential.org_id, credential.id, name, metadata, now)
    return described


async def set_health(
    conn: Conn, org_id: UUID, credential_id: UUID, status: str, notes: Sequence[str], now: datetime
) -> None:
    """What is known of it: `ok`, `warn` (it may not work) or `error` (a person must reconnect it), and why. The time
    stays when nothing new is said. No error when it is gone."""
    await conn.execute(SET_HEALTH, org_id, credential_id, status, orjson.dumps(list(notes)).decode(), now)


async def seal(conn: Conn, keyring: Keyring, org_id: UUID, credential_id: UUID, secret: Mapping[str, Any]) -> bytes:
    """The secret properties as they are stored in its row."""
    return await keyring.seal(conn, org_id, _aad(org_id, credential_id), jsontext.dumps(dict(secret)))


async def wake_users(conn: Conn, org_id: UUID, credential_id: UUID) -> None:
    """Let the engine read the credential anew for each sync that uses it, once this transaction has committed."""
    await conn.execute(WAKE_USERS, org_id, credential_id)


async def delete(conn: Conn, org_id: UUID, credential_id: UUID) -> None:
    """Remove it with its secrets and what was discovered with it. Raises NotFound, and Invalid while a sync uses it.
    Call it in a transaction."""
    await get(conn, org_id, credential_id, lock=True)
    users = [str(row["id"]) for row in await conn.fetch(USERS, org_id, credential_id)]
    if users:
        raise Invalid({"id": [f"is used by syncs; delete them first: {', '.join(users)}"]})
    await conn.execute(FORGET_DELETED_SYNCS, org_id, credential_id)
    await conn.execute(DELETE, org_id, credential_id)


def _check_same_account(
    held: Credential, kind: CredentialKind, properties: Mapping[str, Any], account_id: str | None, found: Mode
) -> None:
    if held.account_id is None:
        return
    if account_id not in (None, held.account_id) or found != held.mode:
        reason = (
            f"is of another account ({account_id or 'unknown'}, {found}) than this credential "
            f"({held.account_id}, {held.mode}); import it as a credential of its own"
        )
        raise Invalid({secret_field(kind, properties): [reason]})


def _marks_of_held_account(
    keyring: Keyring, held: Credential, kind: CredentialKind, properties: Mapping[str, Any]
) -> Marks:
    """The marks of these properties in the account, and of the narrowness, that `held` was found to have."""

    def of(these: Mapping[str, Any], *, narrow: bool) -> Marks:
        return marks(keyring, held.provider, kind, held.oauth_app_id, these, held.account_id, held.mode, narrow=narrow)

    return of(properties, narrow=held.upsert_key != of(held.properties, narrow=False).upsert_key)


async def _add(
    conn: Conn,
    keyring: Keyring,
    org_id: UUID,
    draft: Draft,
    properties: Mapping[str, Any],
    told: Marks,
    verdict: Verdict,
    now: datetime,
) -> Credential | None:
    """The new credential, or None when there is one with the same upsert key."""
    plain, secret = _split(draft.kind, properties)
    credential = Credential(
        org_id=org_id,
        id=(id_ := uuid7(now.timestamp())),
        provider=draft.provider,
        kind=draft.kind.kind,
        name=draft.name,
        properties=plain,
        secret_names=frozenset(secret),
        secrets=await seal(conn, keyring, org_id, id_, secret),
        oauth_app_id=draft.oauth_app_id,
        account_id=told.account_id,
        mode=told.mode,
        account_hash=told.account_hash,
        upsert_key=told.upsert_key,
        revision=1,
        metadata=draft.metadata or "{}",
        health_status=verdict.status,
        health_notes=verdict.notes,
        health_at=now,
        created_at=now,
        updated_at=now,
    )
    try:
        done = await conn.execute(
            ADD, org_id, id_, credential.provider, credential.kind, credential.name, _text(plain), sorted(secret),
            credential.secrets, credential.oauth_app_id, told.account_id, told.mode, told.account_hash,
            told.upsert_key, told.fingerprint, credential.metadata, credential.health_status, _text(verdict.notes), now,
            grant_mark(keyring, draft.kind, properties),
        )  # fmt: skip
    except asyncpg.ForeignKeyViolationError:
        raise Invalid({"oauth_app_id": ["is not there any more"]}) from None
    return credential if done.endswith(" 1") else None


async def _store(
    conn: Conn,
    keyring: Keyring,
    held: Credential,
    kind: CredentialKind,
    properties: Mapping[str, Any],
    told: Marks,
    verdict: Verdict,
    now: datetime,
    *,
    name: str | None = None,
    metadata: str | None = None,
) -> Credential:
    """Write what is new over `held`, and wake the syncs that use it when its properties or secrets changed."""
    plain, secret = _split(kind, properties)
    changed = not await _holds(conn, keyring, held, plain, secret)
    sealed = held.secrets
    if changed:
        sealed = await seal(conn, keyring, held.org_id, held.id, secret)
    stored = replace(
        held,
        name=held.name if name is None else name,
        properties=plain,
        secret_names=frozenset(secret),
        secrets=sealed,
        account_id=told.account_id,
        mode=told.mode,
        account_hash=told.account_hash,
        upsert_key=told.upsert_key,
        revision=held.revision + changed,
        metadata=held.metadata if metadata is None else metadata,
        health_status=verdict.status,
        health_notes=verdict.notes,
    )
    if (stored.health_status, stored.health_notes) != (held.health_status, held.health_notes):
        stored = replace(stored, health_at=now)
    if changed or (stored.name, stored.metadata) != (held.name, held.metadata):
        stored = replace(stored, updated_at=now)
    await conn.execute(
        WRITE, held.org_id, held.id, stored.name, _text(plain), sorted(secret), sealed, told.account_id, told.mode,
        told.account_hash, told.upsert_key, told.fingerprint, stored.revision, stored.metadata, stored.health_status,
        _text(stored.health_notes), stored.health_at, stored.updated_at, grant_mark(keyring, kind, properties),
    )  # fmt: skip
    if changed:
        await conn.execute(FORGET_TOKEN, held.org_id, held.id)
        await wake_users(conn, held.org_id, held.id)
    return stored


async def _holds(
    conn: Conn, keyring: Keyring, held: Credential, plain: Mapping[str, Any], secret: Mapping[str, Any]
) -> bool:
    """Whether these are the properties that it has. One that does not open is healed by what comes in its place."""
    try:
        return await open_properties(conn, keyring, held) == {**plain, **secret}
    except CannotOpen:
        return False


def _split(kind: CredentialKind, properties: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    plain = {name: value for name, value in properties.items() if name not in kind.secret}
    return plain, {name: value for name, value in properties.items() if name in kind.secret}


def _aad(org_id: UUID, credential_id: UUID) -> bytes:
    return identity("credentials.secrets", org_id, credential_id)


def _text(value: Any) -> str:
    return jsontext.dumps(value).decode()


def _from_row(row: asyncpg.Record) -> Credential:
    return Credential(
        **{
            **row,
            "properties": orjson.loads(row["properties"]),
            "secret_names": frozenset(row["secret_names"]),
            "health_notes": tuple(orjson.loads(row["health_notes"])),
        }
    )
