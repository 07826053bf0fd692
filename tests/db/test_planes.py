"""Every table belongs to one plane, and no statement leaves it (decision 003): so the data plane can be distributed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace
from headrace.db.pool import Database
from headrace.db.queries import parse

ROOT = Path(headrace.__file__).parent
SCHEMA = "\n".join(path.read_text() for path in sorted((ROOT / "db" / "migrations").glob("*.sql")))

INSTANCE = {
    "instance", "orgs", "schema_migrations", "workers", "limit_buckets", "limit_slots", "limit_shares",
    "account_clocks",
}  # fmt: skip
"""What is neither a stream's nor an organisation's: the installation itself."""

OVER_ALL_STREAMS = {"housekeeping.purging", "partitions.list_consumers"}
"""Lists over all streams, from which the streams that have work are learned; each says so in its comment."""

MANY_AT_ONCE = {"activity.forget_minutes", "activity.forget_lines"}
"""What is dropped for its age, of many streams in one statement: no promise is kept by it."""

_BODIES = dict(re.findall(r"create table (?:if not exists )?(\w+) \((.*?)\n\)", SCHEMA, re.DOTALL))
DATA = {
    name for name, body in _BODIES.items()
    if re.search(r"primary key \(stream_id\b|^  stream_id uuid primary key", body, re.MULTILINE)
}  # fmt: skip
CONTROL = _BODIES.keys() - DATA


def _names(tables: set[str]) -> str:
    return "|".join(sorted(tables, key=len, reverse=True))


_USE = re.compile(
    rf"\b(from|join|update|into)\s+({_names(DATA)})\b(?:\s+(?!set\b|where\b|on\b|order\b|limit\b|group\b)(\w+))?"
)
_CONTROL_USE = re.compile(rf"\b(?:from|join|update|into)\s+({_names(set(CONTROL))})\b")


def statements() -> Iterator[tuple[str, str]]:
    """Those of all floors that name a table of the data plane."""
    for path in sorted(ROOT.rglob("*.sql")):
        if path.parent.name == "migrations":
            continue
        for name, block in parse(path.name, path.read_text()):
            for number, statement in enumerate(re.sub(r"--.*", "", block).split(";")):
                if _USE.search(statement):
                    yield f"{path.stem}.{name}" + (f"[{number}]" if number else ""), statement


ALL = dict(statements())


def test_the_rules_are_asked_of_every_floor() -> None:
    assert len(ALL) > 100
    assert {"leases.claim", "status.collections", "intake.see"} & ALL.keys()
    assert {"records", "stream_heads", "sync_epochs", "deliveries", "purges", "events"} <= DATA


async def test_every_table_belongs_to_one_plane_by_its_key(db: Database) -> None:
    rows = await db.api.fetch(
        "select c.relname as name, a.attname as first from pg_class c"
        " left join pg_index i on i.indrelid = c.oid and i.indisprimary"
        " left join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]"
        " where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition"
    )
    first = {row["name"]: row["first"] for row in rows}
    wrong = {
        name: key for name, key in first.items()
        if key not in ("stream_id", "org_id") and name not in INSTANCE
    }  # fmt: skip
    assert wrong == {}, "a primary key begins with stream_id (data plane) or org_id (control plane)"
    assert {name for name, key in first.items() if key == "stream_id"} == DATA


async def test_no_unique_index_or_foreign_key_leaves_the_stream(db: Database) -> None:
    rows = await db.api.fetch(
        "select i.indrelid::regclass::text as name, i.indexrelid::regclass::text as index, a.attname as first"
        " from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]"
        " where i.indisunique and i.indrelid::regclass::text = any ($1)",
        list(DATA),
    )
    assert {row["index"] for row in rows if row["first"] != "stream_id"} == set()
    foreign = "select count(*) from pg_constraint where contype = 'f' and $1 && array[conrelid::regclass::text, confrelid::regclass::text]"  # noqa: E501
    assert await db.api.fetchval(foreign, list(DATA)) == 0
    assert await db.api.fetchval("select count(*) from pg_trigger where not tgisinternal") == 0
    assert await db.api.fetchval("select count(*) from pg_sequences where schemaname = 'public'") == 0


@pytest.mark.parametrize("name", ALL)
def test_a_statement_stays_in_the_data_plane(name: str) -> None:
    assert _CONTROL_USE.findall(ALL[name]) == [], "a join of the two planes: read them one after the other"


@pytest.mark.parametrize("name", ALL)
def test_every_table_is_bound_to_given_streams(name: str) -> None:
    statement = ALL[name]
    if name in OVER_ALL_STREAMS:
        return
    for verb, table, alias in _USE.findall(statement):
        if verb == "into":
            assert re.search(rf"into {table}\s*\(stream_id\b", statement), "the stream is the first column"
            assert re.search(r"(select|values \()\s*(\$1\b|stream_id\b)", statement), "and the first value"
            continue
        by_itself = r"\bstream_id = (\$\d+|any \(\$\d+)|unnest\(\$\d::uuid\[\]\) \w+ \(stream_id\)"
        by_alias = rf"\b{alias}\.stream_id = (\$\d+|any \(\$\d+|\w+\.stream_id)" if alias else by_itself
        assert re.search(by_itself, statement), f"no stream is given for {table}"
        assert re.search(by_alias, statement) or re.search(r"\bwhere stream_id = ", statement), f"{table} is not bound"


@pytest.mark.parametrize("name", ALL)
def test_a_write_is_of_one_stream(name: str) -> None:
    statement = ALL[name].lower()
    if re.search(r"\b(update|delete from|insert into)\s", statement) and name not in MANY_AT_ONCE:
        assert not re.search(r"stream_id = any", statement)
    assert not (re.search(r"\bwith\s+\w+\s+as\b", statement) and "insert" in statement), "WITH and INSERT mixed"


@pytest.mark.parametrize("name", ALL)
def test_nothing_depends_on_the_server_or_its_time_zone(name: str) -> None:
    """In what an upsert sets and asks only immutable expressions may stand: a moment and an interval added are none."""
    statement = ALL[name].lower()
    assert not re.search(r"\bnow\(\)|clock_timestamp|current_timestamp|gen_random|nextval|random\(|advisory", statement)
    upsert = statement.partition("on conflict")[2]
    assert not re.search(r"\+[^,;]*\binterval\b|to_json|jsonb_build|date_trunc|::date\b", upsert)
