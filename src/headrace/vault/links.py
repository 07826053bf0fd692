"""Auth links: an account on its way in through a browser, from start to code.

Each step is taken once and has its own secret, of which a hash is stored: the token in the start URL, the state that
the provider brings back together with the browser's cookie, the code with which the caller fetches the credential. What
is kept meanwhile (the caller's state, the PKCE verifier, at the end the credential) is sealed.
"""

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.ids import uuid7
from headrace.vault.keys import Keyring
from headrace.vault.sealing import identity

SQL = load(__package__, "links.sql")
ADD, TO_START, SEND, BACK = SQL.add_link, SQL.link_to_start, SQL.send_link, SQL.call_link_back
FINISH, REDEEM, DROP, SWEEP = SQL.finish_link, SQL.redeem_link, SQL.drop_link, SQL.sweep_links

START_LIFE = timedelta(minutes=5)
BROWSER_LIFE = timedelta(minutes=15)
CODE_LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is kept. `payload` is what only its steps know."""

    org_id: UUID
    id: UUID
    oauth_app_id: UUID
    kind: str
    redirect_url: str
    payload: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a browser is sent on with: the state for the provider, and the cookie by which it is known again."""

    state: str = field(repr=False)
    cookie: str = field(repr=False)


def hash_of(secret: str) -> bytes:
    """What is stored of the secret of a step: 256 random bits, of which a plain hash tells nothing."""
    return hashlib.sha256(secret.encode()).digest()


async def make(
    conn: Conn,
    keyring: Keyring,
    org_id: UUID,
    oauth_app_id: UUID,
    kind: str,
    redirect_url: str,
    payload: dict[str, Any],
    now: datetime,
) -> str:
    """A new link; returns the token of its start URL, good once and for five minutes."""
    token = secrets.token_urlsafe(32)
    id_ = uuid7(now.timestamp())
    sealed = await _seal(conn, keyring, org_id, id_, payload)
    await conn.execute(
        ADD, org_id, id_, oauth_app_id, kind, redirect_url, sealed, hash_of(token), now + START_LIFE, now
    )  # fmt: skip
    return token


async def to_start(conn: Conn, keyring: Keyring, token: str, now: datetime) -> Link | None:
    """The link of a start token; None when it is unknown, used, or over. It is not used up by this."""
    return await _opened(conn, keyring, await conn.fetchrow(TO_START, hash_of(token), now))


async def send(conn: Conn, keyring: Keyring, link: Link, payload: dict[str, Any], now: datetime) -> Sent | None:
    """Use the link up for the browser that asks; None when another one was faster."""
    sent = Sent(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    sealed = await _seal(conn, keyring, link.org_id, link.id, payload)
    done = await conn.execute(
        SEND, link.org_id, link.id, hash_of(sent.state), hash_of(sent.cookie), sealed, now + BROWSER_LIFE
    )  # fmt: skip
    return sent if done == "UPDATE 1" else None


async def call_back(conn: Conn, keyring: Keyring, state: str, cookie: str, now: datetime) -> Link | None:
    """The link that a browser comes back with; None for any browser but the one that was sent, and the second time."""
    return await _opened(conn, keyring, await conn.fetchrow(BACK, hash_of(state), hash_of(cookie), now))


async def finish(conn: Conn, keyring: Keyring, link: Link, payload: dict[str, Any], now: datetime) -> str:
    """Keep what was connected; returns the code with which it is fetched, good once and for ten minutes."""
    code = secrets.token_urlsafe(32)
    sealed = await _seal(conn, keyring, link.org_id, link.id, payload)
    await conn.execute(FINISH, link.org_id, link.id, hash_of(code), sealed, now + CODE_LIFE)
    return code


async def redeem(conn: Conn, keyring: Keyring, code: str, oauth_app_id: UUID, now: datetime) -> Link | None:
    """What was connected; None when the code is unknown, used, over, or another app's. Call it in a transaction."""
    return await _opened(conn, keyring, await conn.fetchrow(REDEEM, hash_of(code), oauth_app_id, now))


async def drop(conn: Conn, link: Link) -> None:
    """It came to nothing."""
    await conn.execute(DROP, link.org_id, link.id)


async def sweep(conn: Conn, now: datetime) -> None:
    """Forget those that are over."""
    await conn.execute(SWEEP, now)


async def _opened(conn: Conn, keyring: Keyring, row: asyncpg.Record | None) -> Link | None:
    if row is None:
        return None
    link = Link(**{**row, "payload": {}})
    opened = await keyring.open(conn, link.org_id, _aad(link.org_id, link.id), row["payload"])
    return replace(link, payload=orjson.loads(opened))


async def _seal(conn: Conn, keyring: Keyring, org_id: UUID, id_: UUID, payload: dict[str, Any]) -> bytes:
    return await keyring.seal(conn, org_id, _aad(org_id, id_), orjson.dumps(payload))


def _aad(org_id: UUID, id_: UUID) -> bytes:
    return identity("auth_links.payload", org_id, id_)
