"""The check of rightness in the comparison with others: it finds every way in which a copy can be wrong."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import orjson
import pytest
from bench.peers.rightness import Fields, Verdict, compare
from hypothesis import given, settings
from hypothesis import strategies as st

Objects = dict[str, dict[str, Any]]

THERE: Objects = {
    f"cus_{number}": {"id": f"cus_{number}", "name": "Ada", "balance": number, "phone": None, "metadata": {"turn": "1"}}
    for number in range(5)
}


async def _raws(objects: Objects) -> AsyncIterator[bytes]:
    for held in objects.values():
        yield orjson.dumps(held)


async def _rows(rows: Sequence[Fields]) -> AsyncIterator[tuple[str, Fields]]:
    for row in rows:
        yield row["id"], row


async def _verdict(rows: Sequence[Fields], columns: set[str] | None = None) -> Verdict:
    return await compare(_raws(THERE), _rows(rows), columns)


def _copy() -> list[dict[str, Any]]:
    return [orjson.loads(orjson.dumps(held)) for held in THERE.values()]


async def test_a_copy_that_is_the_providers_is_right() -> None:
    found = await _verdict(_copy()[::-1])
    assert found.right
    assert (found.objects, str(found)) == (5, "yes")


def _lose(rows: list[dict[str, Any]]) -> None:
    rows.pop(2)


def _keep_a_deleted_one(rows: list[dict[str, Any]]) -> None:
    rows.append({**rows[0], "id": "cus_gone"})


def _double(rows: list[dict[str, Any]]) -> None:
    rows.append(rows[0])


def _be_late(rows: list[dict[str, Any]]) -> None:
    rows[3]["metadata"] = {"turn": "0"}


def _lose_a_value(rows: list[dict[str, Any]]) -> None:
    rows[1]["name"] = None


@pytest.mark.parametrize("columns", [None, {"id", "name", "balance", "phone", "metadata"}])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_lose, "NO: 1 missing"),
        (_keep_a_deleted_one, "NO: 1 too many"),
        (_double, "NO: 1 too many"),
        (_be_late, "NO: 1 different"),
        (_lose_a_value, "NO: 1 different"),
    ],
)
async def test_each_damage_is_found_and_told(
    damage: Callable[[list[dict[str, Any]]], None], told: str, columns: set[str] | None
) -> None:
    rows = _copy()
    damage(rows)
    found = await _verdict(rows, columns)
    assert not found.right
    assert str(found) == told
    assert len(found.examples) == 1


async def test_columns_cannot_tell_null_from_absent_and_what_has_none_is_told() -> None:
    rows = [{"id": held["id"], "name": held["name"], "balance": held["balance"]} for held in THERE.values()]
    found = await _verdict(rows, {"id", "name", "balance", "phone"})
    assert found.right
    assert found.left_out == {"metadata"}
    assert str(found) == "yes; 1 fields not kept"


async def test_whole_objects_are_compared_with_their_nulls() -> None:
    rows = _copy()
    del rows[0]["phone"]
    assert str(await _verdict(rows)) == "NO: 1 different"


async def test_verdicts_add_up() -> None:
    found = await _verdict(_copy())
    found += await _verdict(_copy()[1:])
    assert (found.objects, found.missing, found.right) == (10, 1, False)


_objects = st.dictionaries(
    st.text("abc", min_size=1, max_size=2),
    st.dictionaries(st.text("xyz", min_size=1, max_size=1), st.none() | st.integers(0, 2)),
    max_size=5,
).map(lambda held: {object_id: {**fields, "id": object_id} for object_id, fields in held.items()})


@settings(max_examples=60, deadline=None)
@given(there=_objects, here=_objects)
async def test_a_copy_is_right_just_when_it_is_equal(there: Objects, here: Objects) -> None:
    found = await compare(_raws(there), _rows(list(here.values())), None)
    assert found.right == (there == here)
    assert found.missing == len(there.keys() - here.keys())
    assert found.phantom == len(here.keys() - there.keys())
