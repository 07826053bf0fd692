"""What is sealed opens with the same key for the same row, and in no other way."""

import os
from uuid import UUID, uuid4

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headrace.vault.sealing import CannotOpen, Key, identity, key_id

KEY = Key(uuid4(), os.urandom(32))
parts = st.lists(st.binary(max_size=12), max_size=4)


@given(plaintext=st.binary(max_size=500), row=st.binary(max_size=60))
def test_what_is_sealed_opens_again(plaintext: bytes, row: bytes) -> None:
    assert KEY.open(row, KEY.seal(row, plaintext)) == plaintext


@given(plaintext=st.binary(max_size=60), row=st.binary(max_size=30), data=st.data())
def test_a_byte_changed_anywhere_and_it_does_not_open(plaintext: bytes, row: bytes, data: st.DataObject) -> None:
    sealed = bytearray(KEY.seal(row, plaintext))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CannotOpen):
        KEY.open(row, bytes(sealed))


@given(plaintext=st.binary(max_size=60), row=st.binary(max_size=30), data=st.data())
def test_cut_short_or_made_longer_it_does_not_open(plaintext: bytes, row: bytes, data: st.DataObject) -> None:
    sealed = KEY.seal(row, plaintext)
    with pytest.raises(CannotOpen):
        KEY.open(row, sealed[: data.draw(st.integers(0, len(sealed) - 1))])
    with pytest.raises(CannotOpen):
        KEY.open(row, sealed + data.draw(st.binary(min_size=1, max_size=20)))


@given(row=st.binary(max_size=30), other=st.binary(max_size=30))
def test_copied_into_another_row_it_does_not_open(row: bytes, other: bytes) -> None:
    assume(row != other)
    with pytest.raises(CannotOpen):
        KEY.open(other, KEY.seal(row, b"secret"))


def test_another_key_does_not_open_it_not_even_under_the_same_id() -> None:
    sealed = KEY.seal(b"row", b"secret")
    for other in (Key(uuid4(), KEY.secret), Key(KEY.id, os.urandom(32))):
        with pytest.raises(CannotOpen):
            other.open(b"row", sealed)


def test_a_sealed_value_names_its_key_and_is_never_the_same_twice() -> None:
    sealed = {KEY.seal(b"row", b"secret") for _ in range(50)}
    assert len(sealed) == 50
    assert {key_id(value) for value in sealed} == {KEY.id}
    assert all(b"secret" not in value for value in sealed)


@given(one=parts, other=parts)
def test_identities_of_different_rows_differ(one: list[bytes], other: list[bytes]) -> None:
    assume(one != other)
    assert identity("table.column", *one) != identity("table.column", *other)


def test_identities_of_different_columns_differ() -> None:
    row = UUID(int=7)
    assert identity("credentials.secrets", row) != identity("oauth_apps.secrets", row)


def test_a_key_shows_in_no_repr() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)
