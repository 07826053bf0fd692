"""OAuth apps: a client of one's own at a provider, with its sealed secrets."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from headrace.db.pool import Conn
from headrace.db.queries import load
from headrace.errors import Invalid, NotFound
from headrace.ids import uuid7
from headrace.vault.grants import App
from headrace.vault.keys import Keyring
from headrace.vault.masking import APP_STARS
from headrace.vault.sealing import identity

SQL = load(__package__, "oauth_apps.sql")
ONE, LOCK, MANY, BY_ID = SQL.app, SQL.lock_app, SQL.apps, SQL.apps_by_id
ADD, WRITE, USERS, DELETE = SQL.add_app, SQL.write_app, SQL.users, SQL.delete_app
SET_HEALTH, BY_ITS_ID = SQL.set_app_health, SQL.app_by_its_id


@dataclass(frozen=True, slots=True)
class OAuthApp:
    """An app as it is stored. `properties` are what it has beside client id and secret and that is not secret (the
    id of a GitHub App); `secret_names` are the secrets that it has, sealed in `secrets`."""

    org_id: UUID
    id: UUID
    provider: str
    name: str
    client_id: str
    secret_names: frozenset[str]
    secrets: bytes = field(repr=False)
    redirect_uris: tuple[str, ...]
    properties: dict[str, Any]
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
    health_status: str | None = None
    metadata: str | None = None


def masked(app: OAuthApp) -> dict[str, str]:
    """Its secrets as they may be shown."""
    return dict.fromkeys(sorted(app.secret_names), APP_STARS)


async def open_secrets(conn: Conn, keyring: Keyring, app: OAuthApp) -> dict[str, str]:
    """Its secrets by name: `client_secret`, and others that it has. Raises what `Keyring.open` raises."""
    secrets: dict[str, str] = orjson.loads(await keyring.open(conn, app.org_id, _aad(app.org_id, app.id), app.secrets))
    return secrets


async def get(conn: Conn, org_id: UUID, app_id: UUID, *, lock: bool = False) -> OAuthApp:
    """Raises NotFound. `lock`: nobody else changes it, or makes a credential with it, until the transaction's end."""
    row = await conn.fetchrow(LOCK if lock else ONE, org_id, app_id)
    if row is None:
        raise NotFound(f"There is no OAuth app {app_id}. List those there are with GET /v1/oauth-apps.")
    return _from_row(row)


async def by_id(conn: Conn, app_id: UUID) -> OAuthApp | None:
    """The app, whoever's it is: for who proves by its secret that it is theirs."""
    row = await conn.fetchrow(BY_ITS_ID, app_id)
    return None if row is None else _from_row(row)


async def list_(conn: Conn, org_id: UUID, filters: Filters, *, limit: int, after: UUID | None = None) -> list[OAuthApp]:
    """Oldest first, from behind `after`."""
    rows = await conn.fetch(MANY, org_id, after, filters.provider, filters.health_status, filters.metadata, limit)
    return [_from_row(row) for row in rows]


async def by_ids(conn: Conn, org_id: UUID, app_ids: Collection[UUID]) -> dict[UUID, OAuthApp]:
    """Those of `app_ids` that are there."""
    rows = await conn.fetch(BY_ID, org_id, list(app_ids)) if app_ids else []
    return {row["id"]: _from_row(row) for row in rows}


async def create(
    conn: Conn,
    keyring: Keyring,
    org_id: UUID,
    *,
    provider: str,
    name: str,
    client_id: str,
    secrets: Mapping[str, str],
    redirect_uris: Collection[str],
    properties: Mapping[str, Any],
    metadata: str,
    now: datetime,
) -> OAuthApp:
    """Make an app. `metadata` is JSON text."""
    id_ = uuid7(now.timestamp())
    app = OAuthApp(
        org_id=org_id,
        id=id_,
        provider=provider,
        name=name,
        client_id=client_id,
        secret_names=frozenset(secrets),
        secrets=await keyring.seal(conn, org_id, _aad(org_id, id_), orjson.dumps(dict(secrets))),
        redirect_uris=tuple(redirect_uris),
        properties=dict(properties),
        metadata=metadata,
        health_status="ok",
        health_notes=(),
        health_at=now,
        created_at=now,
        updated_at=now,
    )
    await conn.execute(
        ADD, app.org_id, app.id, app.provider, app.name, app.client_id, sorted(app.secret_names), app.secrets,
        app.redirect_uris, orjson.dumps(app.properties).decode(), app.metadata, app.health_status,
        orjson.dumps(app.health_notes).decode(), app.health_at, app.created_at, app.updated_at,
    )  # fmt: skip
    return app


async def update(
    conn: Conn,
    keyring: Keyring,
    app: OAuthApp,
    *,
    name: str,
    secrets: Mapping[str, str],
    redirect_uris: Collection[str],
    metadata: str,
    now: datetime,
) -> OAuthApp:
    """Write these over the app, which was read with `lock`; `secrets` are those that change. Nothing is written,
    `updated_at` included, when it has them all already."""
    held = await open_secrets(conn, keyring, app)
    wanted = {**held, **secrets}
    changed = replace(app, name=name, redirect_uris=tuple(redirect_uris), metadata=metadata)
    if wanted != held:
        sealed = await keyring.seal(conn, app.org_id, _aad(app.org_id, app.id), orjson.dumps(wanted))
        changed = replace(changed, secrets=sealed, secret_names=frozenset(wanted))
    if changed == app:
        return app
    changed = replace(changed, updated_at=now)
    await conn.execute(
        WRITE, app.org_id, app.id, name, sorted(changed.secret_names), changed.secrets, changed.redirect_uris,
        metadata, now,
    )  # fmt: skip
    return changed


async def open_app(conn: Conn, keyring: Keyring, org_id: UUID, app_id: UUID) -> App:
    """The app opened for use. Raises NotFound, and what `Keyring.open` raises."""
    app = await get(conn, org_id, app_id)
    secrets = await open_secrets(conn, keyring, app)
    app_id_given = app.properties.get("app_id")
    return App(
        client_id=app.client_id,
        client_secret=secrets["client_secret"],
        app_id=None if app_id_given is None else str(app_id_given),
        private_key=secrets.get("private_key"),
        base_url=app.properties.get("base_url"),
    )


async def set_health(conn: Conn, org_id: UUID, app_id: UUID, status: str, notes: Sequence[str], now: datetime) -> None:
    """What is known of it, and why; the time stays when nothing new is said."""
    await conn.execute(SET_HEALTH, org_id, app_id, status, orjson.dumps(list(notes)).decode(), now)


async def delete(conn: Conn, org_id: UUID, app_id: UUID) -> None:
    """Remove it with its secrets. Raises NotFound, and Invalid while a credential uses it. Call it in a transaction."""
    await get(conn, org_id, app_id, lock=True)
    users = await conn.fetchval(USERS, org_id, app_id)
    if users:
        raise Invalid({"id": [f"is used by {users} credentials; delete them first"]})
    await conn.execute(DELETE, org_id, app_id)


def _aad(org_id: UUID, app_id: UUID) -> bytes:
    return identity("oauth_apps.secrets", org_id, app_id)


def _from_row(row: asyncpg.Record) -> OAuthApp:
    return OAuthApp(
        **{
            **row,
            "secret_names": frozenset(row["secret_names"]),
            "redirect_uris": tuple(row["redirect_uris"]),
            "properties": orjson.loads(row["properties"]),
            "health_notes": tuple(orjson.loads(row["health_notes"])),
        }
    )
