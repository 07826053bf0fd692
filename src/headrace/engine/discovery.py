"""The search for an account's own collections: before anything of it is read, once a day, and when somebody asks.

A sync of a provider whose accounts have collections of their own reads nothing before the first search is through:
until then nobody knows the fields of its records. What a credential may not see is left out by the connector's page
of the search, and is no fault. Where the search itself is refused for want of a permission, it keeps back only what it
would find: the provider's fixed collections are read as they are declared, what was found before goes on, and the
search is tried again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from headrace.control import syncs
from headrace.db.pool import Conn, Database
from headrace.db.queries import load
from headrace.engine import patch
from headrace.engine.access import Access
from headrace.engine.checkpoints import Checkpoints
from headrace.engine.pace import Priority
from headrace.engine.schedule import Tempo
from headrace.engine.session import Session
from headrace.engine.transport import ReadFailed
from headrace.errors import HeadraceError, ImplementationError
from headrace.providers.kit import Context, Cursor, Discovered, Found
from headrace.vault import collections
from headrace.vault.collections import AccountCollection, Sighting

SYNCS_WITH = load(__package__, "discovery.sql").syncs_with

EVERY = timedelta(days=1)
AGAIN = timedelta(hours=1)
"""When a collection of the sync was not found."""
LEFT_BEHIND = timedelta(minutes=1)
"""A search of another process that began so long ago is not waited for: the process may be gone."""
LOOK_EVERY = timedelta(seconds=5)


Run = Callable[[Discovered], Awaitable[tuple[list[Found], Cursor | None]]]
"""Drives one page of the search."""


@asynccontextmanager
async def recorded(db: Database, org_id: UUID, credential_id: UUID, started_at: datetime) -> AsyncIterator[None]:
    """The search that `collections.start` began at `started_at`: whatever it raises is recorded as its failure."""
    try:
        yield
    except BaseException as error:
        summary = orjson.dumps({"summary": _why(error)}).decode()
        refused_at = db.clock.now() if _is_refused(error) else None
        async with db.api.acquire() as conn:
            await collections.fail(conn, org_id, credential_id, started_at, summary, refused_at)
        raise


async def search(db: Database, access: Access, now: datetime, started_at: datetime, run: Run) -> None:
    """Find the account's collections and keep them; `now` is the present in the provider's clock.

    A collection that has other fields than before is read anew by every sync of the credential that has it: what it
    holds lacks them. So is one that was read as it is declared while the search was refused. Raises what `run` raises,
    and ImplementationError.
    """
    found = await _pages(access, now, run)
    async with db.transaction() as conn:
        await _keep(conn, access, started_at, found, db.clock.now())


class Discovery:
    """The search as a reading of a sync."""

    reading = "discovery"
    upstream = True
    scope = "the account's collections"
    collections: frozenset[str] = frozenset()

    def __init__(self, session: Session) -> None:
        self._session = session
        self._searched_at = session.access.searched_at
        self._look_at: datetime | None = None

    def reload(self, checkpoints: Checkpoints) -> None:
        """It has no checkpoint."""

    def due(self, tempo: Tempo) -> datetime | None:
        searched_at, session = self._searched_at, self._session
        if searched_at is None:
            return self._look_at or tempo.now
        if not session.missing:
            return searched_at + EVERY
        return tempo.now if session.sync.updated_at > searched_at else searched_at + AGAIN

    async def step(self, tempo: Tempo) -> None:
        """Search, unless another process is at it. The worker hands over what was found. Raises ReadFailed, Stopped."""
        session = self._session
        access, db, now = session.access, session.services.db, session.now()
        async with db.transaction() as conn:
            begun = await collections.start(conn, access.org_id, access.credential_id, now, left_behind=LEFT_BEHIND)
        if not begun:
            self._look_at = now + LOOK_EVERY
            return
        async with recorded(db, access.org_id, access.credential_id, now):
            run = partial(session.run, priority=Priority.REPAIR)
            await search(db, access, session.provider_now(), now, run)
        self._searched_at = now


async def _pages(access: Access, now: datetime, run: Run) -> list[Sighting]:
    discovery = access.provider.discovery
    if discovery is None:
        return []
    context = Context(properties=access.public_properties(), now=now)
    sightings: list[Sighting] = []
    cursor: Cursor | None = None
    given: set[bytes] = set()
    while True:
        found, following = await run(discovery.page(context, cursor))
        sightings += map(_sighting, found)
        if following is None:
            return sightings
        mark = orjson.dumps(following, option=orjson.OPT_SORT_KEYS)
        if mark in given:
            raise ImplementationError(
                f"the discovery of {access.provider.slug} gave the same cursor twice: {following}"
            )
        given.add(mark)
        cursor = following


async def _keep(conn: Conn, access: Access, started_at: datetime, found: list[Sighting], now: datetime) -> None:
    org_id, credential_id = access.org_id, access.credential_id
    earlier = await collections.refresh_of(conn, org_id, credential_id, now)
    refused = earlier is not None and earlier.last_succeeded_at is None and earlier.refused_at is not None
    before = {each.id: each for each in await collections.list_(conn, org_id, credential_id)}
    await collections.succeed(conn, org_id, credential_id, access.provider.slug, started_at, found, now)
    after = await collections.list_(conn, org_id, credential_id)
    changed = {each.id for each in after if each.id in before and _fields(each) != _fields(before[each.id])}
    if refused:
        changed |= {each.id for each in after if access.provider.collection(each.id) is not None}
    if changed:
        ids = [row["id"] for row in await conn.fetch(SYNCS_WITH, org_id, credential_id, sorted(changed))]
        for sync in sorted(await syncs.by_ids(conn, org_id, ids), key=lambda each: each.id):
            await patch.start_backfills(conn, sync, sorted(changed & {*sync.collection_ids}), now)


def _fields(found: AccountCollection) -> Mapping[str, Any]:
    """The fields of its records with their types, and the fields inside those; a description that changes leads to
    nothing."""
    return _typed(orjson.loads(found.schema))


def _typed(schema: Any) -> dict[str, Any]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return {}
    return {name: (each.get("type"), _typed(each)) for name, each in properties.items() if isinstance(each, dict)}


def _sighting(found: Found) -> Sighting:
    return Sighting(
        scope=found.scope,
        upstream_id=found.upstream_id,
        name=found.name,
        schema=orjson.dumps(dict(found.schema)).decode(),
        upstream=orjson.dumps(dict(found.upstream)).decode(),
        collection_id=found.collection_id,
    )


def _is_refused(error: BaseException) -> bool:
    return isinstance(error, ReadFailed) and error.fault.kind == "permission"


def _why(error: BaseException) -> str:
    match error:
        case ReadFailed() if _is_refused(error):
            return f"The credential may not list the account's own collections: {error.fault.message}"
        case ReadFailed():
            return f"The provider failed: {error.fault.message}"
        case HeadraceError():
            return error.summary
        case TimeoutError():
            return "The provider took too long. Start it again."
        case Exception():
            return "Headrace failed here. Start it again; if it stays so, report the line in the server's log."
        case _:
            return "The process that refreshed was stopped. Start it again."
