"""Access tokens: kept, and made by one at a time.

Providers rotate refresh tokens: each may be used once, and the answer brings its successor. Three things follow, and
are held here for every grant.

- *Turns.* Who makes a token takes the turn of the credential, in a row that all processes see; a turn ends by itself
  after `TURN`, so that a process that died holds up nobody. What is sent within a turn is noted before (`sent`).
- *Nothing that came is lost.* The successor is stored before the access token that came with it is used. A turn's
  number is the fence, but what decides is the grant: an answer is stored while the credential still holds the grant
  that it answers, even when its turn has run out meanwhile, since then it is the only one that has the successor; and
  it is dropped when another grant stands there.
- *A refusal counts for the grant that was refused*, and only while it is the credential's.

Lock order: the credential's row, then the token's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from headrace import jsontext
from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import ImplementationError, NotFound
from headrace.vault import credentials
from headrace.vault.accounts import grant_mark
from headrace.vault.credentials import Credential
from headrace.vault.grants import ACCESS_TOKEN, Minted
from headrace.vault.keys import Keyring
from headrace.vault.kinds import CredentialKind
from headrace.vault.sealing import identity

SQL = load(__package__, "tokens.sql")
ENSURE, ROW, LOCK_ROW, TAKE, KEEP = SQL.ensure_row, SQL.token, SQL.lock_token, SQL.take_turn, SQL.keep_token
END, REFUSE, STORE, IDLE = SQL.end_turn, SQL.refuse, SQL.store_learned, SQL.idle

TURN = timedelta(seconds=30)
"""How long a turn lasts. All that is done in one must be sent well before its end."""
_AHEAD_S = 300.0
_AHEAD_SHARE = 0.2
_AGAIN_S = 60.0
_AGAIN_MOST_S = 3600.0


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that may be used. `renew_at` is when the next one is due; `credential` is what it belongs to, as
    it was when the token was read."""

    access_token: str = field(repr=False)
    renew_at: datetime
    expires_at: datetime | None
    credential: Credential
    properties: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to make the next token. `again`: the grant was sent before, in a turn whose answer never came."""

    number: int
    credential: Credential
    properties: Mapping[str, Any] = field(repr=False)
    mark: bytes = field(repr=False)
    again: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody else has the turn, until then at the most."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Dead:
    """The grant was refused, and is not sent again before `ask_again_at`."""

    refusal: str
    ask_again_at: datetime


def token_mark(keyring: Keyring, access_token: str) -> bytes:
    """A keyed hash of an access token, by which a refused one is known."""
    return keyring.keyed_hash("access token", access_token.encode())


async def take_turn(
    conn: Conn,
    keyring: Keyring,
    kind: CredentialKind,
    org_id: UUID,
    credential_id: UUID,
    now: datetime,
    *,
    refused: bytes | None = None,
) -> Token | Turn | Taken | Dead:
    """The token that is there, or the turn to make one. Call it in a transaction of its own: what a turn notes must be
    committed before anything is sent.

    `refused` is the mark of a token that the provider has refused: it is not given out again. Raises NotFound when the
    credential is gone.
    """
    credential = await credentials.get(conn, org_id, credential_id, lock=True)
    row = await _locked(conn, credential)
    properties = await credentials.open_properties(conn, keyring, credential)
    usable = row["token"] is not None and row["token_mark"] != refused and _lives(row["expires_at"], now)
    taken = row["turn_until"] is not None and row["turn_until"] > now
    if usable and (taken or now < row["renew_at"]):
        return await _opened(conn, keyring, credential, properties, row)
    if taken:
        return Taken(row["turn_until"])
    grant = grant_mark(keyring, kind, properties)
    if grant is None:
        raise NotFound("There is nothing in this credential that an access token could be made of.")
    if row["refused"] == grant and row["ask_again_at"] > now:
        return Dead(row["refusal"], row["ask_again_at"])
    number = await conn.fetchval(TAKE, org_id, credential_id, now + TURN, grant)
    return Turn(number, credential, properties, grant, again=row["sent"] == grant)


async def held(conn: Conn, keyring: Keyring, org_id: UUID, credential_id: UUID) -> Token | None:
    """The token that was made last, good or not; None when none was. Raises NotFound when the credential is gone."""
    row = await conn.fetchrow(ROW, org_id, credential_id)
    if row is None or row["token"] is None:
        return None
    credential = await credentials.get(conn, org_id, credential_id)
    properties = await credentials.open_properties(conn, keyring, credential)
    return await _opened(conn, keyring, credential, properties, row)


async def keep(
    conn: Conn, keyring: Keyring, kind: CredentialKind, turn: Turn, minted: Minted, now: datetime
) -> Token | None:
    """Store what a turn brought; None when the credential holds another grant by now, or is gone: then it is dropped.
    Call it in a transaction, and use the token after its commit."""
    try:
        credential = await credentials.get(conn, turn.credential.org_id, turn.credential.id, lock=True)
    except NotFound:
        return None
    row = await _locked(conn, credential)
    properties = await credentials.open_properties(conn, keyring, credential)
    if grant_mark(keyring, kind, properties) != turn.mark:
        return None
    learned = learned_of(kind, minted)
    succeeded = grant_mark(keyring, kind, {**properties, **learned}) != turn.mark
    if row["made_in"] > turn.number and not succeeded:
        return await _opened(conn, keyring, credential, properties, row)  # a later turn's, as good as this one
    credential, properties = await _learn(conn, keyring, kind, credential, properties, learned, now)
    return await _keep(conn, keyring, kind, credential, properties, minted, turn.number, now)


async def move(conn: Conn, keyring: Keyring, token: Token, to: Credential, now: datetime) -> None:
    """Let `to`, which holds the grant from now on, have the token that was made of it. Call it in the transaction that
    gives it the grant."""
    row = await _locked(conn, to)
    await _write(conn, keyring, to, token.access_token, token.renew_at, token.expires_at, row["turn"] + 1, now)


async def end_turn(conn: Conn, turn: Turn, *, unsent: bool) -> None:
    """Give the turn back without a token. `unsent`: the grant has not left this process."""
    await conn.execute(END, turn.credential.org_id, turn.credential.id, turn.number, unsent)


async def refuse(
    conn: Conn, keyring: Keyring, kind: CredentialKind, turn: Turn, refusal: str, now: datetime
) -> Dead | None:
    """Note that the grant was refused; None when the credential holds another one by now. It is sent again after a
    minute, then ever more seldom up to an hour: some refusals are a provider's bad day. Call it in a transaction."""
    try:
        credential = await credentials.get(conn, turn.credential.org_id, turn.credential.id, lock=True)
    except NotFound:
        return None
    row = await _locked(conn, credential)
    properties = await credentials.open_properties(conn, keyring, credential)
    if grant_mark(keyring, kind, properties) != turn.mark:
        return None
    wait_s = min(_AGAIN_MOST_S, _AGAIN_S * 2 ** min(row["refusals"], 10))
    again = now + timedelta(seconds=wait_s)
    await conn.execute(REFUSE, credential.org_id, credential.id, turn.number, turn.mark, refusal, again)
    return Dead(refusal, again)


async def idle(conn: Conn, kind: str, before: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """(organisation, credential) of the grants of a kind of which no token was made since, the longest unused first."""
    return [(row["org_id"], row["id"]) for row in await conn.fetch(IDLE, kind, before, limit)]


def learned_of(kind: CredentialKind, minted: Minted) -> dict[str, Any]:
    """The properties that a minted token changes. ImplementationError for one that the kind's schema does not name."""
    known = kind.schema.get("properties", {})
    learned = dict(minted.learned)
    if ACCESS_TOKEN in known:
        learned[ACCESS_TOKEN] = minted.access_token
    if unknown := [name for name in learned if name not in known]:
        raise ImplementationError(
            f"minting a token of {kind.kind} learned {', '.join(unknown)}, which its schema does not name: "
            "name them in `CredentialKind.schema`, or leave them out of `Minted.learned`"
        )
    return learned


async def _locked(conn: Conn, credential: Credential) -> asyncpg.Record:
    await conn.execute(ENSURE, credential.org_id, credential.id)
    row = await conn.fetchrow(LOCK_ROW, credential.org_id, credential.id)
    assert row is not None  # its credential is locked
    return row


async def _learn(
    conn: Conn,
    keyring: Keyring,
    kind: CredentialKind,
    held: Credential,
    properties: Mapping[str, Any],
    learned: Mapping[str, Any],
    now: datetime,
) -> tuple[Credential, dict[str, Any]]:
    """The credential with what was learned. A new secret is nobody's business but the vault's; the revision grows, and
    the syncs are told, only when a property changes that connectors see."""
    wanted = {**properties, **learned}
    if wanted == properties:
        return held, wanted
    plain = {name: value for name, value in wanted.items() if name not in kind.secret}
    secret = {name: value for name, value in wanted.items() if name in kind.secret}
    seen = plain != held.properties
    stored = replace(
        held,
        properties=plain,
        secret_names=frozenset(secret),
        secrets=await credentials.seal(conn, keyring, held.org_id, held.id, secret),
        revision=held.revision + seen,
        updated_at=now if seen else held.updated_at,
    )
    await conn.execute(
        STORE, held.org_id, held.id, jsontext.dumps(plain).decode(), sorted(secret), stored.secrets, stored.revision,
        stored.updated_at, grant_mark(keyring, kind, wanted),
    )  # fmt: skip
    if seen:
        await credentials.wake_users(conn, held.org_id, held.id)
    return stored, wanted


async def _keep(
    conn: Conn,
    keyring: Keyring,
    kind: CredentialKind,
    credential: Credential,
    properties: Mapping[str, Any],
    minted: Minted,
    number: int,
    now: datetime,
) -> Token:
    assert kind.grant is not None
    told = minted.lives_s
    lives_s = kind.grant.life_s if told is None else told
    ahead_s = min(_AHEAD_S, lives_s * _AHEAD_SHARE)
    renew_at = now + timedelta(seconds=lives_s - ahead_s)
    expires_at = None if told is None else now + timedelta(seconds=told)
    await _write(conn, keyring, credential, minted.access_token, renew_at, expires_at, number, now)
    return Token(minted.access_token, renew_at, expires_at, credential, properties)


async def _write(
    conn: Conn,
    keyring: Keyring,
    credential: Credential,
    access_token: str,
    renew_at: datetime,
    expires_at: datetime | None,
    number: int,
    now: datetime,
) -> None:
    sealed = await keyring.seal(conn, credential.org_id, _aad(credential), access_token.encode())
    marked = token_mark(keyring, access_token)
    await conn.execute(KEEP, credential.org_id, credential.id, sealed, marked, renew_at, expires_at, now, number)


async def _opened(
    conn: Conn, keyring: Keyring, credential: Credential, properties: Mapping[str, Any], row: asyncpg.Record
) -> Token:
    token = (await keyring.open(conn, credential.org_id, _aad(credential), row["token"])).decode()
    return Token(token, row["renew_at"], row["expires_at"], credential, properties)


def _lives(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is None or now < expires_at


def _aad(credential: Credential) -> bytes:
    return identity("access_tokens.token", credential.org_id, credential.id)
