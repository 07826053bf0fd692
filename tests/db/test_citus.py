"""`migrate` distributes the data plane where it finds the extension citus.

Citus itself is not at hand: its functions and its catalogue stand here under their names and signatures (Citus 13,
`src/backend/distributed/sql`), note what they are called with, and refuse what Citus would refuse of it.
"""

from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from headrace.db.migrate import migrate

STAND_IN = (
    "create type distribution_type as enum ('hash', 'range', 'append')",
    "create table called (number serial, what text, arguments text[])",
    """create table pg_dist_partition (logicalrel regclass primary key, partmethod "char" not null, partkey text,
       colocationid integer not null default 0,
       repmodel "char" not null default 's', autoconverted boolean default false)""",
    """create function create_distributed_table(table_name regclass, distribution_column text,
         distribution_type distribution_type default 'hash', colocate_with text default 'default',
         shard_count int default null) returns void language plpgsql as $$
       declare
         bad text;
       begin
         if exists (select 1 from pg_dist_partition where logicalrel = table_name) then
           raise exception 'table "%" is already distributed', table_name;
         end if;
         if colocate_with not in ('default', 'none')
           and not exists (select 1 from pg_dist_partition where logicalrel = colocate_with::regclass) then
           raise exception 'relation % is not distributed', colocate_with;
         end if;
         select i.indexrelid::regclass::text into bad from pg_index i
         where i.indrelid = table_name and i.indisunique and not exists (
           select 1 from pg_attribute a where a.attrelid = table_name and a.attname = distribution_column
             and a.attnum = any (i.indkey));
         if bad is not null then
           raise exception 'cannot create constraint on "%": % lacks the distribution column', table_name, bad;
         end if;
         if exists (select 1 from pg_constraint where contype = 'f' and table_name in (conrelid, confrelid)) then
           raise exception 'cannot create foreign key constraint on "%" with a local table', table_name;
         end if;
         if exists (select 1 from pg_trigger where tgrelid = table_name and not tgisinternal) then
           raise exception 'cannot distribute relation "%" because it has triggers', table_name;
         end if;
         insert into pg_dist_partition (logicalrel, partmethod, partkey) values (table_name, 'h', distribution_column);
         insert into pg_dist_partition (logicalrel, partmethod, partkey)
           select inhrelid::regclass, 'h', distribution_column from pg_inherits where inhparent = table_name;
         insert into called (what, arguments)
           values ('distribute', array[table_name::text, distribution_column, colocate_with]);
       end $$""",
    """create function create_distributed_table(table_name regclass, distribution_columns text[],
         distribution_type distribution_type default 'hash', colocate_with text default 'default',
         shard_count int default null) returns void language plpgsql as
       $$ begin raise exception 'distributed tables with more than one column are not for us'; end $$""",
    """create function truncate_local_data_after_distributing_table(function_name regclass) returns void
       language plpgsql as $$ begin
         if not exists (select 1 from pg_dist_partition where logicalrel = function_name) then
           raise exception 'supplied parameter is not a distributed relation';
         end if;
         insert into called (what, arguments) values ('truncate', array[function_name::text]);
       end $$""",
    # The row of the catalogue by which an extension is found; its files are not needed for that.
    """insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
       values (90001, 'citus', 10, 'pg_catalog'::regnamespace, false, '13.2-1')""",
)


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    made = await asyncpg.connect(dsn)
    yield made
    await made.close()


async def stand_in(connection: asyncpg.Connection) -> None:
    """Citus, as far as `migrate` sees it. Needs a superuser, as the extension does."""
    if not await connection.fetchval("select usesuper from pg_user where usename = current_user"):
        pytest.skip("only a superuser can make the stand-in for the extension")
    await connection.execute("set allow_system_table_mods = on")
    for statement in STAND_IN:
        await connection.execute(statement)


async def called(connection: asyncpg.Connection, what: str) -> list[Sequence[str]]:
    rows = await connection.fetch("select arguments from called where what = $1 order by number", what)
    return [row["arguments"] for row in rows]


async def data_plane(connection: asyncpg.Connection) -> set[str]:
    """Tables whose primary key begins with the stream, told by its definition."""
    keyed = "pg_get_constraintdef(pg_constraint.oid) like 'PRIMARY KEY (stream_id%'"
    rows = await connection.fetch(
        "select conrelid::regclass::text as name from pg_constraint join pg_class c on c.oid = conrelid"
        f" where contype = 'p' and not c.relispartition and {keyed}"
    )
    return {row["name"] for row in rows}


async def test_without_citus_nothing_is_distributed(dsn: str) -> None:
    assert await migrate(dsn) == []


async def test_every_table_of_the_data_plane_is_distributed_by_stream_in_one_group(
    dsn: str, connection: asyncpg.Connection
) -> None:
    await stand_in(connection)
    await migrate(dsn)
    first, *others = await called(connection, "distribute")
    assert list(first) == ["stream_locks", "stream_id", "none"], "a group of our own"
    assert {tuple(each[1:]) for each in others} == {("stream_id", "stream_locks")}, "and all others in it"
    names = {first[0], *(each[0] for each in others)}
    assert names == await data_plane(connection)
    assert {"records", "events", "checkpoints", "deliveries"} <= names
    assert not {"orgs", "syncs", "streams", "workers", "limit_buckets", "schema_migrations"} & names
    assert {each[0] for each in await called(connection, "truncate")} == names, "what was there has moved"


async def test_a_second_time_nothing_is_done_and_a_new_table_joins_the_group(
    dsn: str, connection: asyncpg.Connection
) -> None:
    await stand_in(connection)
    await migrate(dsn)
    await connection.execute("truncate called")
    await migrate(dsn)
    assert await called(connection, "distribute") == []
    await connection.execute("create table later (stream_id uuid, id uuid, primary key (stream_id, id))")
    await migrate(dsn)
    assert [list(each) for each in await called(connection, "distribute")] == [["later", "stream_id", "stream_locks"]]


async def test_what_citus_refuses_leaves_nothing_half_done(dsn: str, connection: asyncpg.Connection) -> None:
    await stand_in(connection)
    await connection.execute("create table wrong (stream_id uuid, id uuid unique, primary key (stream_id, id))")
    with pytest.raises(asyncpg.RaiseError, match="lacks the distribution column"):
        await migrate(dsn)
    assert await connection.fetchval("select count(*) from pg_dist_partition") == 0
