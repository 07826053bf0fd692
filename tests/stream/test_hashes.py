"""The canonical form: equal for equal values, different for different ones, whatever way it is made."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.stream.hashes import canon_hash, canonical, raw_hash, same_content
from headrace.stream.items import Canon

PLAIN = Canon()

number = st.one_of(
    st.integers(),
    st.integers(10**17, 10**25),
    st.decimals(allow_nan=False, allow_infinity=False).map(
        lambda d: Decimal(f"{d:f}") if abs(d.adjusted()) < 40 else d
    ),
    st.floats(allow_nan=False, allow_infinity=False),
)
value = st.recursive(
    st.one_of(st.none(), st.booleans(), number, st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=12,
)


def write(given_: Any, *, spaces: str = "", backwards: bool = False, escape: bool = False) -> str:
    """JSON text of a value, numbers digit for digit."""
    if isinstance(given_, dict):
        members = [
            f"{write(k, escape=escape)}{spaces}:{write(v, spaces=spaces, backwards=backwards, escape=escape)}"
            for k, v in given_.items()
        ]
        return "{" + spaces + ",".join(members[::-1] if backwards else members) + "}"
    if isinstance(given_, list):
        return (
            "[" + ",".join(write(v, spaces=spaces, backwards=backwards, escape=escape) for v in given_) + spaces + "]"
        )
    if isinstance(given_, Decimal):
        return str(given_).replace("+", "")
    return json.dumps(given_, ensure_ascii=escape)


def kind(given_: Any) -> Any:
    """The value with numbers told apart by whole or not, exact: what must be equal for the forms to be."""
    if isinstance(given_, dict):
        return {k: kind(v) for k, v in given_.items()}
    if isinstance(given_, list):
        return [kind(v) for v in given_]
    if isinstance(given_, bool) or given_ is None or isinstance(given_, str):
        return given_
    text = write(given_)
    whole = all(c not in text for c in ".eE")
    exact = Decimal(text)
    return ("whole" if whole else "part", exact, exact.is_signed() and not whole)


@given(value)
def test_order_space_and_escapes_do_not_matter(given_: Any) -> None:
    one = write({"v": given_})
    other = write({"v": given_}, spaces=" \n", backwards=True, escape=True)
    assert canonical(one.encode(), PLAIN) == canonical(other.encode(), PLAIN)


@given(value, value)
def test_different_values_have_different_forms(one: Any, other: Any) -> None:
    same = canonical(write(one).encode(), PLAIN) == canonical(write(other).encode(), PLAIN)
    assert same == (kind(one) == kind(other))


@given(st.one_of(value, st.dictionaries(st.text(max_size=5), value, max_size=4)), st.data())
def test_two_texts_are_the_same_exactly_when_their_forms_are(one: Any, data: st.DataObject) -> None:
    other = data.draw(st.one_of(st.just(one), value))
    if isinstance(one, dict) and one:
        other = data.draw(st.sampled_from([other, {**one, next(iter(one)): data.draw(value)}]))
    texts = write(one).encode(), write(other, spaces=" ", backwards=True, escape=True).encode()
    assert same_content(*texts) == (canonical(texts[0], PLAIN) == canonical(texts[1], PLAIN))


@given(number, number)
def test_numbers_above_all(one: Any, other: Any) -> None:
    same = canonical(b"[%b]" % write(one).encode(), PLAIN) == canonical(b"[%b]" % write(other).encode(), PLAIN)
    assert same == (kind(one) == kind(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.10", "1.1"),
        ("1e2", "100.0"),
        ("1.00000000000000000000", "1.0"),
        ("123456789012345678901234567890.0", "1.2345678901234567890123456789E+29"),
        ("1e400", "10e399"),
        ("-0", "0"),
    ],
)
def test_one_value_in_two_spellings_is_one(one: str, other: str) -> None:
    assert canonical(one.encode(), PLAIN) == canonical(other.encode(), PLAIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("9007199254740993", "9007199254740992"),
        ("18446744073709551616", "18446744073709551617"),
        ("0.1000000000000000055511151231257827", "0.1"),
        ("1e-400", "0.0"),
        ("1e400", "1e401"),
        ("0.0", "-0.0"),
    ],
)
def test_two_values_are_two(one: str, other: str) -> None:
    assert canonical(one.encode(), PLAIN) != canonical(other.encode(), PLAIN)


def test_volatile_paths_are_left_out_wherever_lists_lie_between() -> None:
    canon = Canon(1, ("at", "lines.at", "deep.er.at"))
    text = b'{"at":1,"x":{"at":2},"lines":[{"at":3,"n":1},[{"at":4}]],"deep":{"er":[{"at":5}]}}'
    assert canonical(text, canon) == b'{"deep":{"er":[{}]},"lines":[{"n":1},[{}]],"x":{"at":2}}'


def test_a_volatile_path_that_is_not_there_is_no_error() -> None:
    assert canonical(b'{"a":1,"b":"text","c":null}', Canon(1, ("b.x", "c.x", "d.x"))) == b'{"a":1,"b":"text","c":null}'


def test_what_is_nested_too_deeply_stands_for_itself() -> None:
    deep = b'{"a":' * 2000 + b"1" + b"}" * 2000
    assert canonical(deep, PLAIN) == deep
    assert canon_hash(deep, PLAIN) == raw_hash(deep)


def test_half_a_surrogate_pair_is_told_from_another() -> None:
    texts = (
        rb"\ud83d",
        rb"\ud83e",
        rb"\\ud83d",
        rb"\u0000ud83d",
        rb"\ud83d\u0000ud83d",
        rb"\ud83d\ud83d",
        rb"\\\ud83d",
    )
    assert len({canonical(b'{"a":"%b"}' % text, PLAIN) for text in texts}) == len(texts)
    assert canonical(rb'{"a":"\ud83d", "b":1}', PLAIN) == canonical(rb'{"b":1,"a":"\ud83d"}', PLAIN)
