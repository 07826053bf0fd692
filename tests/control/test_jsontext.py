"""jsontext keeps every digit and refuses what could not be kept."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import jsontext

digits = st.text("0123456789", min_size=1, max_size=40)
whole = digits.map(lambda text: text.lstrip("0") or "0")
fraction = st.one_of(st.just(""), digits.map(lambda text: "." + text))
exponent = st.one_of(
    st.just(""), st.tuples(st.sampled_from(["e", "E", "e+", "e-"]), st.integers(0, 3000)).map(lambda p: f"{p[0]}{p[1]}")
)
numbers = st.tuples(st.sampled_from(["", "-"]), whole, fraction, exponent).map("".join)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map(
    lambda text: json.dumps(text, ensure_ascii=False)
)
values = st.recursive(
    st.one_of(numbers, texts, st.sampled_from(["true", "false", "null"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5).map(lambda items: "[" + ",".join(items) + "]"),
        st.dictionaries(texts, inner, max_size=5).map(
            lambda pairs: "{" + ",".join(f"{key}:{value}" for key, value in pairs.items()) + "}"
        ),
    ),
    max_leaves=20,
)


def compact(text: str) -> str:
    """The same value as orjson writes strings (no needless escapes); numbers are left as they stand."""
    return jsontext.dumps(jsontext.loads(text)).decode()


@given(numbers)
def test_a_number_is_written_as_it_was_sent(number: str) -> None:
    assert compact(number) == number


@given(values)
def test_a_round_trip_changes_no_value_and_a_second_one_no_byte(text: str) -> None:
    once = compact(text)
    assert compact(once) == once
    exactly = json.JSONDecoder(parse_float=str, parse_int=str)
    assert exactly.decode(once) == exactly.decode(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b"NaN",
            b"[Infinity]",
            b"-Infinity",
            b"{} x",
            b"01",
            b"1.",
            b"+1",
            b"{'a':1}",
            b"\xff",
            b"\xef\xbb\xbf{}",
        ),
        *(b'"\t"', b'{"a":1,}', b"\xed\xa0\x80", b'"\xed\xa0\x80"'),
    ],
)
def test_what_is_not_json_is_told_apart(text: bytes) -> None:
    with pytest.raises(jsontext.NotJson):
        jsontext.loads(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"a":1,"a":1}', ("a",)),
        ('{"x":[{"a":1,"b":2,"a":1}]}', ("x", 0, "a")),
        ('{"x":"\\ud800"}', ("x",)),
        ('{"x":["\\udfff"]}', ("x", 0)),
        ('{"\\ud800":1}', ()),
        ('{"\\ud800":1,"\\ud800":2}', ()),
        ('{"x":"\\u0000"}', ("x",)),
        ('{"\\u0000":1}', ()),
        ('{"x":' + "[" * 100 + "]" * 100 + "}", ("x",)),
        ("[" * 1_000_000, ()),
        ('{"x":1e16000}', ("x",)),
        ('{"x":1e-99999999999999999999999}', ("x",)),
        ('{"x":' + "1" * 16_001 + "}", ("x",)),
    ],
)
def test_what_could_not_be_stored_is_refused_with_its_path(text: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(jsontext.NotStorable) as refused:
        jsontext.loads(text)
    assert refused.value.path == path


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert jsontext.loads('"\\ud83d\\ude00"') == "😀"


@pytest.mark.parametrize("number", ["1e15990", "0." + "0" * 15_990 + "1", "1" * 15_990, "9.5e-15990"])
async def test_postgresql_can_hold_every_number_that_passes(db, number: str) -> None:
    jsontext.loads(number)
    async with db.transaction() as conn:
        assert await conn.fetchval("select jsonb_typeof($1::jsonb)", number) == "number"
