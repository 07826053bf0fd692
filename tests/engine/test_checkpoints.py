"""Checkpoints are read in whichever form they were written, and never guessed at."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.checkpoints import (
    BackfillMark,
    HeadMark,
    Mark,
    NewerForm,
    RefusedMark,
    SettledMark,
    SliceMark,
    Span,
    SweepMark,
    TokenMark,
    Walk,
    decode,
    encode,
)
from headrace.providers.kit import Window

moments = st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1), timezones=st.just(UTC))
windows = st.builds(Window, st.none() | moments, st.none() | moments)
cursors = st.none() | st.dictionaries(
    st.text(max_size=5), st.integers(-(2**53), 2**53) | st.text(max_size=5) | st.none(), max_size=3
)
walks = st.builds(
    Walk,
    moments,
    moments,
    st.lists(st.builds(Span, windows, st.none() | st.text(max_size=5)), max_size=3),
    moments,
    moments,
    cursors,
    st.integers(0, 1000),
)
marks = st.one_of(
    st.builds(HeadMark, moments, moments, st.none() | walks),
    st.builds(SettledMark, moments, st.none() | walks),
    st.builds(TokenMark, cursors.filter(bool), moments, moments),
    st.builds(SliceMark, windows, cursors, st.none() | st.text(max_size=5), st.none() | moments),
    st.builds(RefusedMark, moments, cursors),
    st.builds(BackfillMark, window=windows, began=st.none() | moments, since=st.none() | moments),
    st.builds(SweepMark, sweep_id=st.none() | st.just(uuid4()), began=st.none() | moments, cursor=cursors),
)


@given(marks)
def test_a_mark_survives_its_way_through_the_database(mark: Mark) -> None:
    text = orjson.dumps(encode(mark)).decode()
    assert decode(type(mark), mark.form, text) == mark


def test_a_snapshot_does_not_follow_its_mark() -> None:
    mark = SliceMark(Window(), {"after": 1})
    value = encode(mark)
    mark.cursor = {"after": 2}
    assert value["cursor"] == {"after": 1}


def _named(value: dict[str, Any]) -> dict[str, Any]:
    return {"name": value["n"]}


def _counted(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "count": 0}


@dataclass(slots=True)
class Third(Mark):
    """A mark that had two earlier forms."""

    form: ClassVar[int] = 3
    upgrades: ClassVar[Any] = {1: _named, 2: _counted}
    name: str = ""
    count: int = 1


@pytest.mark.parametrize(
    ("form", "text", "mark"),
    [
        (1, '{"n": "a"}', Third("a", 0)),
        (2, '{"name": "a"}', Third("a", 0)),
        (3, '{"name": "a", "count": 5}', Third("a", 5)),
    ],
)
def test_an_older_form_is_lifted_step_by_step(form: int, text: str, mark: Third) -> None:
    assert decode(Third, form, text) == mark


def test_a_newer_form_is_refused() -> None:
    with pytest.raises(NewerForm):
        decode(Third, 4, "{}")
