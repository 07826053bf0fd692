from datetime import UTC, datetime

import pytest

from headrace.db.queries import inline, load, parse
from headrace.ids import uuid7


def test_blocks_are_attributes_and_keep_what_they_say_of_themselves() -> None:
    queries = parse("x.sql", "-- name: one\n-- Why.\nselect 1\n\n-- name: two\nselect 2\n")
    assert queries.one == "-- Why.\nselect 1"
    assert queries.two == "select 2"
    assert [name for name, _ in queries] == ["one", "two"]


def test_an_unknown_name_is_an_error_that_tells_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"x\.sql has no statement named two; it has: one"):
        _ = parse("x.sql", "-- name: one\nselect 1").two


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- name: one\nselect 1\n-- name: one\nselect 2", "twice"),
        ("-- name: one\n-- Nothing.\n\n-- name: two\nselect 2", "nothing under the name one"),
        ("select 1", "names no statement"),
    ],
)
def test_a_file_that_is_not_well_formed_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse("x.sql", text)


def test_files_stand_beside_the_module() -> None:
    assert "stream_locks" in load("headrace.stream", "append.sql").lock_stream
    with pytest.raises(FileNotFoundError):
        load("headrace.stream", "nothing.sql")


def test_ids_and_numbers_are_written_in_and_nothing_else_can_be() -> None:
    id_ = uuid7()
    assert inline("select $1, $2, $10", id_, 7, *range(8)) == f"select '{id_}'::uuid, 7, 7"
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert inline("$1 $2 $3", None, True, moment) == "null true '2026-01-02T03:04:05.000006+00:00'::timestamptz"
    assert inline("$1, $2", [id_], [1, 2]) == f"'{{{id_.hex}}}'::uuid[], '{{1,2}}'::bigint[]"
    for text in ("1; drop table records", "12", b"12"):
        with pytest.raises(TypeError, match="text is not written"):
            inline("select $1", text)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="invalid literal"):
        inline("select $1", ["1'"])  # type: ignore[list-item]
