"""Of a row only what is needed is decoded: id, times, parent; what is odd is no time, what has no id is no record."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.clock import micros
from headrace.errors import ImplementationError
from headrace.providers.kit.rows import UNREADABLE, Picker, Raw, Reader, iso8601, unix_seconds
from headrace.stream.codec import check, refusal

NOW = datetime(2026, 11, 23, tzinfo=UTC)
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def row(value: Any) -> Raw:
    return Raw(orjson.dumps(value))


NAMES = st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_characters='"\\'), min_size=1, max_size=6)


@given(st.dictionaries(NAMES, JSON, max_size=6), st.lists(NAMES, min_size=1))
def test_picks_what_a_plain_lookup_finds(document: dict[str, Any], names: list[str]) -> None:
    paths = {f"p{number}": ((name,), Any) for number, name in enumerate(names)}
    text = orjson.dumps(document)
    plain = orjson.loads(text)
    assert list(Picker(**paths)(text)) == [plain.get(name) for name in names]


@given(
    st.dictionaries(NAMES, JSON, min_size=1, max_size=4).map(orjson.dumps),
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 2), st.sampled_from(b'"\\,:{}[]019-+.eEtnu \0\x1f\x7f')),
        max_size=3,
    ),
)
def test_what_was_picked_from_is_json_to_its_end(text: bytes, spoilt: list[tuple[int, int, int]]) -> None:
    """So a Record made of it need not be read once more; whether it is UTF-8 is another matter."""
    for place, cut, character in spoilt:
        place %= len(text)
        text = text[:place] + bytes([character]) + text[place + cut :]
    try:
        Picker(first=("id", Any), second=("created", Any))(text)
    except UNREADABLE:
        return
    if refusal(text) is None:
        check(text, "the text")


def test_picks_from_inside_and_gives_none_for_what_is_not_there() -> None:
    pick = Picker(a=("meta.page.next", Any), b=(("odata.next",), Any), c=("meta.size", Any), d=("x.y", Any))
    assert pick(b'{"meta":{"page":{"next":"n"},"size":3},"odata.next":1}') == ("n", 1, 3, None)
    assert pick(b'{"meta":null}') == (None, None, None, None)


@pytest.mark.parametrize(
    "paths", [{"a": ("a", Any), "b": ("a.b", Any)}, {"a": ("", Any)}, {"a": ("a..b", Any)}, {"a": ("\0", Any)}]
)
def test_refuses_paths_that_make_no_sense(paths: Any) -> None:
    with pytest.raises(ImplementationError):
        Picker(**paths)


def test_a_record_has_what_the_declaration_names() -> None:
    reader = Reader("x:thing", "key.id", created="made", updated="meta.changed", parent="owner.id")
    raw = row(
        {
            "key": {"id": 12},
            "made": "2026-01-02T03:04:05Z",
            "meta": {"changed": "2026-01-02T03:04:06.789+02:00"},
            "owner": {"id": "o1"},
        }
    )
    record = reader(raw, NOW, partition="base")
    assert (record.collection, record.id, record.parent, record.partition) == ("x:thing", "12", "o1", "base")
    assert record.raw == bytes(raw)
    assert record.created == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert record.updated == datetime(2026, 1, 2, 1, 4, 6, 789000, tzinfo=UTC)
    assert record.version == micros(record.updated)
    assert record.as_of == NOW


def test_a_composite_id_is_joined_in_the_order_declared() -> None:
    assert (
        Reader("x:rate", ["currency", "day"])(row({"day": "2026-01-01", "currency": "CHF"}), NOW).id == "CHF/2026-01-01"
    )


def test_a_row_without_an_id_is_an_implementation_error() -> None:
    with pytest.raises(ImplementationError, match="no id"):
        Reader("x:thing")(row({"ID": 1}), NOW)


@given(JSON)
def test_odd_times_are_no_time_and_never_an_error(value: Any) -> None:
    for read in (unix_seconds, iso8601):
        moment = read(value)
        assert moment is None or moment.tzinfo is not None
    record = Reader("x:thing", created="created", updated="updated", time=unix_seconds)(
        row({"id": "a", "created": value, "updated": value}), NOW
    )
    assert record.version == (0 if record.updated is None else micros(record.updated))


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7)), timezone(timedelta(hours=5.5))])))
def test_iso_times_come_back_as_the_same_instant_in_utc(moment: datetime) -> None:
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:
        return
    read = iso8601(moment.isoformat())
    assert read == expected
    assert read is not None
    assert read.tzinfo is UTC


@given(st.integers(-(10**12), 10**18) | st.floats())
def test_unix_times_are_instants_or_nothing(value: float) -> None:
    moment = unix_seconds(value)
    assert moment is None or abs(moment.timestamp() - value) < 0.001


def test_a_slice_is_a_copy_and_does_not_hold_the_page() -> None:
    rows = msgspec.json.decode(b'[{"id":"a"},{"id":"b"}]', type=list[Raw])
    assert [Reader("x:thing")(each, NOW).raw for each in rows] == [b'{"id":"a"}', b'{"id":"b"}']
