"""Every statement of the data plane names the stream for every table that it touches (decision 003).

It is what keeps one stream's work within one stream, and the way open to a database that is cut up by stream.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace
from headrace.db.queries import parse

_SQL_FILES = sorted((Path(headrace.__file__).parent / "stream").rglob("*.sql"))
_MIGRATIONS = Path(headrace.__file__).parent / "db" / "migrations"
_SCHEMA = "\n".join(path.read_text() for path in sorted(_MIGRATIONS.glob("*.sql")))
_NO_TABLE = {"notify", "flush"}
_WHOLE_TABLES = {"create_partition", "list_partitions", "lock_partition", "drop_partition", "list_consumers"}
"""What is done to the events of a day, of all streams: once a day."""

TABLES = {
    match.group(1)
    for match in re.finditer(r"create table (\w+) \((.*?)\n\)", _SCHEMA, re.DOTALL)
    if re.search(r"^  stream_id uuid", match.group(2), re.MULTILINE)
    and match.group(1) not in ("syncs", "http_consumers")
}
_TABLE = re.compile(
    r"\b(from|join|update|into)\s+(" + "|".join(TABLES) + r")\b(?:\s+(?!set\b|where\b|on\b|order\b|limit\b)(\w+))?"
)


def statements() -> Iterator[tuple[str, str]]:
    for path in _SQL_FILES:
        for name, block in parse(path.name, path.read_text()):
            plain = re.sub(r"--.*", "", block)
            for number, statement in enumerate(part for part in plain.split(";") if part.strip()):
                yield f"{path.stem}.{name}[{number}]", statement


ALL = dict(statements())


def test_the_rules_are_asked_of_every_file_and_table() -> None:
    assert len(ALL) > 60
    assert {"records", "stream_heads", "sync_epochs", "deliveries", "purges"} <= TABLES


@pytest.mark.parametrize("name", ALL)
def test_every_table_is_bound_to_the_stream(name: str) -> None:
    statement = ALL[name]
    uses = list(_TABLE.finditer(statement))
    if name.split(".")[1].split("[")[0] in _NO_TABLE | _WHOLE_TABLES or re.match(
        r"\s*(begin|commit|rollback|set local)\b", statement
    ):
        return
    assert uses, "names no table of the data plane"
    for use in uses:
        verb, table, alias = use.groups()
        if verb == "into":
            assert re.search(rf"into {table} \(stream_id[,)]", statement), "the stream is the first column"
            assert re.search(r"(select|values \()\s*\$1", statement), "and the first parameter"
            continue
        bound = [rf"\b{alias}\.stream_id = (\$1|any \(\$1|[a-z]\.stream_id)"] if alias else []
        bound.append(r"\bwhere stream_id = \$1")
        assert any(re.search(each, statement) for each in bound), f"{table} {alias or ''} is not bound to the stream"


@pytest.mark.parametrize("name", ALL)
def test_a_stream_is_not_left_and_nothing_depends_on_the_server(name: str) -> None:
    statement = ALL[name].lower()
    assert not (re.search(r"\bwith\s+\w+\s+as\b", statement) and "insert" in statement), "WITH and INSERT mixed"
    assert not re.search(r"\bnow\(\)|clock_timestamp|current_timestamp|gen_random|nextval|random\(", statement)
    assert not re.search(r"advisory|txid|pg_snapshot|xmin|ctid", statement)


def test_every_key_of_the_data_plane_begins_with_the_stream() -> None:
    for table in TABLES:
        body = re.search(rf"create table {table} \((.*?)\n\)", _SCHEMA, re.DOTALL)
        assert body is not None
        for keys in re.findall(r"(?:primary key|unique) \(([^)]*)\)", body.group(1)):
            assert keys.startswith("stream_id"), f"{table}: {keys}"
        assert not re.search(r"serial|identity|default (now|gen_)|references", body.group(1)), table
        for keys in re.findall(rf"create unique index \w+ on {table} \(([^)]*)\)", _SCHEMA):
            assert keys.startswith("stream_id"), f"{table}: {keys}"
    assert "create trigger" not in _SCHEMA
    assert "create sequence" not in _SCHEMA
