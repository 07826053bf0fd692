"""What cannot be stored is told apart from what came beside it."""

import json
from datetime import UTC, datetime

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.unfit import DEEPEST, as_sent, cut, is_spelled, legible, spelled, why_unfit, why_unnamed
from headrace.stream.codec import LARGEST
from headrace.stream.items import Mention, Record

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
)
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)


def nested(depth: int, inside: bytes = b"") -> bytes:
    return b"[" * depth + inside + b"]" * depth


def record(raw: bytes) -> Record:
    return Record("shop:order", "1", raw, AS_OF)


def page(*rows: bytes) -> bytes:
    return b'{"data": [' + b", ".join(rows) + b'], "more": "}]{[\\"["}'


@given(DOCUMENTS)
def test_what_is_not_deep_stays_as_it_is(document: object) -> None:
    text = orjson.dumps(document)
    assert cut(text) == text


@given(st.lists(st.tuples(DOCUMENTS, st.integers(0, 3_000)), min_size=1, max_size=4))
def test_rows_beside_a_deep_one_come_as_they_were_sent(rows: list[tuple[object, int]]) -> None:
    """Also where strings hold brackets and quotes; a deep row, and none other, is unfit."""
    texts = [orjson.dumps({"id": document, "deep": 0})[:-2] + nested(depth, b"1") + b"}" for document, depth in rows]
    read = msgspec.json.decode(cut(page(*texts)), type=dict[str, msgspec.Raw])
    assert bytes(read["more"]) == b'"}]{[\\"["'
    raws = msgspec.json.decode(read["data"], type=list[msgspec.Raw])
    for raw, text, (_, depth) in zip(raws, texts, rows, strict=True):
        whole = depth <= DEEPEST - 3  # the page, its list and the row are levels themselves
        assert (bytes(raw) == text) is whole
        assert (why_unfit(record(bytes(raw))) is None) is whole
        assert bytes(msgspec.json.decode(raw, type=dict[str, msgspec.Raw])["id"]) in text


@pytest.mark.parametrize("broken", [b"[" * 5_000, b'{"a": "[[[', b"]]]]", b"", b"<html>[[[</html>", nested(5_000)[:-1]])
def test_what_is_no_json_stays_none(broken: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(cut(broken), type=msgspec.Raw)


@given(st.lists(st.text(st.characters() | st.sampled_from("\ud83d\ude00\\"), max_size=8), min_size=1, max_size=4))
def test_rows_with_halves_of_surrogate_pairs_come_as_they_were_sent(texts: list[str]) -> None:
    """Also beside whole pairs, and beside backslashes that only look like the beginning of an escape."""
    rows = [json.dumps({text: [text], "id": text}).encode() for text in texts]
    read = msgspec.json.decode(legible(page(*rows)), type=dict[str, msgspec.Raw])
    raws = [bytes(raw) for raw in msgspec.json.decode(read["data"], type=list[msgspec.Raw])]
    assert [as_sent(raw) for raw in raws] == rows
    for raw, text in zip(raws, texts, strict=True):
        read_id = msgspec.json.decode(raw)["id"]
        no_text = any("\ud800" <= character <= "\udfff" for character in json.loads(json.dumps(text)))
        assert (why_unnamed(Mention("shop:order", read_id, AS_OF)) is not None) is no_text
        assert (read_id == text) is not no_text or json.loads(json.dumps(text)) != text
        assert is_spelled(spelled(read_id)) or not no_text


def test_a_record_that_is_too_large_or_no_text_is_unfit() -> None:
    assert why_unfit(record(b'"' + b"x" * (LARGEST - 2) + b'"')) is None
    assert "a record may have" in str(why_unfit(record(b'"' + b"x" * (LARGEST - 1) + b'"')))
    assert "not UTF-8" in str(why_unfit(record(b'{"name": "caf\xe9"}')))
    assert why_unfit(record('{"name": "café"}'.encode())) is None
