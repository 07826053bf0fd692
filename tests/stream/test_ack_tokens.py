"""Ack tokens: each is read as it was made, and a list with one that is none of this consumer's is refused whole."""

import base64
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadRequest
from headrace.stream.consumers.tokens import Tokens

NUMBERS = st.integers(0, 2**53 - 1)
TOKENS = Tokens(b"k" * 32)


@given(st.lists(st.tuples(st.uuids(), NUMBERS), max_size=5), NUMBERS, st.integers(0, 2**31 - 1))
def test_what_was_handed_out_is_read_back(deliveries: list[tuple[UUID, int]], turn: int, generation: int) -> None:
    tokens = TOKENS.mint(deliveries, turn, generation)
    assert len(set(tokens)) == len(set(deliveries))
    assert [tuple(each) for each in TOKENS.read(tokens)] == [(id_, idx, turn, generation) for id_, idx in deliveries]


@given(st.data())
def test_a_single_changed_bit_among_many_is_noticed(data: st.DataObject) -> None:
    tokens = TOKENS.mint([(id_, 7) for id_ in data.draw(st.lists(st.uuids(), min_size=1, max_size=4))], 1, 1)
    place = data.draw(st.integers(0, len(tokens) - 1))
    raw = bytearray(base64.b64decode(tokens[place]))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    tokens[place] = base64.b64encode(raw).decode()
    with pytest.raises(BadRequest, match="not this consumer's"):
        TOKENS.read(tokens)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda a, b: [a[:-4], b + a[-4:]],  # as long together as two whole ones
        lambda a, b: [a + b],
        lambda a, b: [a[:-2] + "==", b],
        lambda a, b: [a, b[:-2] + "=="],
        lambda a, b: [a, b[:-1] + "\n"],
        lambda a, b: [a, "é" * len(b)],
        lambda a, b: [a, ""],
    ],
)
def test_tokens_are_read_each_for_itself(spoil: Callable[[str, str], list[str]]) -> None:
    tokens = TOKENS.mint([(uuid4(), 1), (uuid4(), 2)], 3, 1)
    with pytest.raises(BadRequest, match="malformed"):
        TOKENS.read(spoil(*tokens))


def test_another_consumers_tokens_are_refused() -> None:
    with pytest.raises(BadRequest, match="not this consumer's"):
        TOKENS.read(Tokens(b"o" * 32).mint([(uuid4(), 1)], 1, 1))
