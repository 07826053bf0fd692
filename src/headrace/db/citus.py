"""A Citus cluster under the same code: the data plane's tables are distributed by stream (docs/scaling.md).

Nothing is to be set: where the database has the extension `citus`, `migrate` distributes what is not yet distributed.
The control plane stays on the coordinator, as plain tables.
"""

import asyncpg
import structlog

log = structlog.get_logger(__name__)

COLUMN = "stream_id"

_INSTALLED = "select exists (select 1 from pg_extension where extname = 'citus')"

# What a table is shows in its key: one that begins with the stream belongs to the data plane (docs/decisions/003).
# Partitions go with their table; `pg_dist_partition` has a row a table that Citus knows, a partition's included.
_OUTSTANDING = """
select c.oid::regclass::text as name from pg_class c
join pg_index i on i.indrelid = c.oid and i.indisprimary
join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
  and a.attname = $1 and not exists (select 1 from pg_dist_partition d where d.logicalrel = c.oid)
order by c.relname
"""
_LEADER = "select logicalrel::text from pg_dist_partition where logicalrel = to_regclass('stream_locks')"
_DISTRIBUTE = "select create_distributed_table($1::text::regclass, $2::text, colocate_with => $3::text)"
_DROP_LOCAL_ROWS = "select truncate_local_data_after_distributing_table($1::text::regclass)"
_FIRST = "stream_locks"


async def distribute(connection: asyncpg.Connection) -> list[str]:
    """Distribute the tables of the data plane that are not yet distributed; return their names, in that order.

    All of them together or none: they are one group of Citus, so that the rows of a stream lie on one node, whatever
    their table. Rows that are there already are moved along. Nothing is done where Citus is not installed.
    """
    if not await connection.fetchval(_INSTALLED):
        return []
    async with connection.transaction():
        found = [row["name"] for row in await connection.fetch(_OUTSTANDING, COLUMN)]
        if not found:
            return []
        # The first begins a group of its own; the default one may be shared with somebody else's tables.
        leader = await connection.fetchval(_LEADER)
        for name in sorted(found, key=lambda name: name != _FIRST):
            await connection.execute(_DISTRIBUTE, name, COLUMN, leader or "none")
            leader = leader or name
    for name in found:
        await connection.execute(_DROP_LOCAL_ROWS, name)
    log.info("tables_distributed", tables=found)
    return found
