"""What is told of an object whose copy is wrong."""

from typing import Any

import pytest
from bench.peers.wrong import difference

TRUTH = {"id": "in_1", "status": "paid", "note": None, "lines": {"data": list(range(12))}}


def lines(count: int) -> dict[str, Any]:
    return {**TRUTH, "lines": {"data": list(range(count))}}


@pytest.mark.parametrize(
    ("copy", "told"),
    [
        (TRUTH, None),
        ({name: value for name, value in TRUTH.items() if value is not None}, None),
        (None, "missing"),
        ({**TRUTH, "status": "open"}, "differs in status"),
        (lines(10), "differs in lines (10 of more)"),
        (lines(3), "differs in lines (fewer of more)"),
    ],
)
def test_an_object_is_told_with_the_fields_that_differ(copy: dict[str, Any] | None, told: str | None) -> None:
    assert difference(TRUTH, copy, None) == told


def test_what_a_copy_has_no_column_for_does_not_count() -> None:
    assert difference(TRUTH, {"id": "in_1", "status": "paid", "own": 1}, {"id", "status"}) is None


def test_what_the_provider_no_longer_has_is_too_many() -> None:
    assert difference(None, TRUTH, None) == "no longer there"
