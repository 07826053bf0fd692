"""The safety catch: deletes that look like a mistake are held until a person confirms them.

A permission that vanished, a wiped test account, a table that was dropped all show as many records gone at once. If
more than a tenth and more than a hundred of a collection's records would go, or all of them where more than ten were
held, or what the credential is allowed has changed meanwhile, none of them is deleted. Deletes that the provider has
confirmed one by one do not count, up to a thousand, as long as it shows another record of the collection: the canary by
which a permission that vanished is told from deletion.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from headrace.db.pool import Conn, Pool
from headrace.db.queries import load
from headrace.engine.session import Session
from headrace.ids import record_id, record_namespace, uuid7
from headrace.stream.columns import text
from headrace.stream.fence import fenced
from headrace.stream.items import ChildSet, Delete

log = structlog.get_logger(__name__)

SQL = load(__package__, "catch.sql")
COUNT_HELD, HELD_OF, CHILDREN_OF, HOLD, HOLD_MORE, RELEASE = (
    SQL.count_held, SQL.held_of, SQL.children_of, SQL.hold, SQL.hold_more, SQL.release,
)  # fmt: skip

ONE_BY_ONE = 1_000
"""So many deletes that the provider told one by one are believed without question."""
A_FAMILY = 100
"""So many children are believed to be gone with one word: an order that was emptied, a customer who left. In a small
account they may well be all that there were."""


def trips(going: int, held: int) -> bool:
    """Whether so many deletes among so many records held need a person's word."""
    return (going > 100 and going > held / 10) or (held > 10 and going >= held)


async def held_by(conn: "Conn | Pool", stream_id: UUID, sync_id: UUID, collection_id: str) -> int:
    """How many records of the collection the stream holds, deleted ones left out."""
    count: int = await conn.fetchval(COUNT_HELD, stream_id, sync_id, collection_id)
    return count


async def hold(
    session: Session,
    collection_id: str,
    sweep_id: UUID,
    held: int,
    ids: Sequence[UUID],
    as_of: datetime,
) -> None:
    """Hold these deletes, in place of what was held for the collection before. `as_of`: the moment for which they
    speak, in the provider's clock; what was read later than that stays. Raises Fenced."""
    await _write(session, collection_id, HOLD, sweep_id, held, list(ids), as_of)
    log.error(
        "deletes_held", sync_id=str(session.fence.sync_id), collection_id=collection_id, deletes=len(ids), of=held
    )


async def release(session: Session, collection_id: str) -> None:
    """What was held for the collection has been found again, or was confirmed one by one. Raises Fenced."""
    if collection_id in session.held:
        await _write(session, collection_id, RELEASE)


async def sift(
    session: Session, deletes: list[Delete], child_sets: list[ChildSet]
) -> tuple[list[Delete], list[ChildSet]]:
    """What of a feed page's deletes goes through; the rest is held.

    Deletes by name are the provider's own word, and believed up to `ONE_BY_ONE` a page, and so is that a parent has no
    children any more, up to `A_FAMILY`: of those of a table or a repository it said nothing one by one.
    """
    emptied: dict[str, list[ChildSet]] = defaultdict(list)
    for child_set in child_sets:
        if not child_set.ids:
            emptied[child_set.collection].append(child_set)
    named: dict[str, list[Delete]] = defaultdict(list)
    for delete in deletes:
        named[delete.collection].append(delete)
    for collection_id in emptied.keys() | named.keys():
        sets, ones = emptied[collection_id], named[collection_id]
        if len(ones) <= ONE_BY_ONE and not sets:
            continue
        by_name, with_parents = await _going(session, ones), await _children(session, collection_id, sets)
        if len(by_name | with_parents) > ONE_BY_ONE:
            with_parents |= by_name
        if len(with_parents) <= A_FAMILY:
            continue
        ids = sorted(with_parents)
        pool = session.services.db.ingest
        held = await held_by(pool, session.fence.stream_id, session.fence.sync_id, collection_id)
        if trips(len(ids), held):
            await _hold_more(session, collection_id, held, ids)
            namespace, kept_back = record_namespace(session.fence.sync_id, collection_id), set(ids)
            deletes = [
                delete
                for delete in deletes
                if delete.collection != collection_id or record_id(namespace, delete.id) not in kept_back
            ]
            child_sets = [one for one in child_sets if one.collection != collection_id or one.ids]
    return deletes, child_sets


async def _going(session: Session, deletes: Sequence[Delete]) -> set[UUID]:
    """The ids of the held records that these deletes would take; one that is not held takes nothing."""
    if not deletes:
        return set()
    namespace = record_namespace(session.fence.sync_id, deletes[0].collection)
    ids = [record_id(namespace, delete.id) for delete in deletes]
    return {row["record_id"] for row in await session.services.db.ingest.fetch(HELD_OF, session.fence.stream_id, ids)}


async def _children(session: Session, collection_id: str, sets: Sequence[ChildSet]) -> set[UUID]:
    """The ids of the held children of these parents."""
    if not sets:
        return set()
    fence, parents = session.fence, [text(one.parent) for one in sets]
    rows = await session.services.db.ingest.fetch(CHILDREN_OF, fence.stream_id, fence.sync_id, collection_id, parents)
    return {row["record_id"] for row in rows}


async def _hold_more(session: Session, collection_id: str, held: int, ids: Sequence[UUID]) -> None:
    """Hold these beside those that are held already, under a new id: what a person confirms is what they saw. Raises
    Fenced."""
    await _write(session, collection_id, HOLD_MORE, uuid7(), held, list(ids), session.provider_now())
    log.error(
        "deletes_held", sync_id=str(session.fence.sync_id), collection_id=collection_id, deletes=len(ids), of=held
    )


async def _write(session: Session, collection_id: str, statement: str, *values: Any) -> None:
    """Write what is held of the collection, unless the sync is another worker's by now."""
    async with fenced(session.services.db, session.fence) as conn:
        await conn.execute(statement, session.fence.stream_id, session.fence.sync_id, collection_id, *values)
    await session.load_held()
