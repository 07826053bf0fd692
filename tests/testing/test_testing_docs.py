"""docs/testing.md names every fault, control and law that there is."""

from pathlib import Path

import pytest

from headrace.testing import laws
from headrace.testing.command import fake, names

TEXT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")


@pytest.mark.parametrize("provider", names())
def test_every_kind_of_fault_is_told(provider: str) -> None:
    assert [kind for kind in sorted(fake(provider).make(0).faults.kinds) if f"`{kind}`" not in TEXT] == []


@pytest.mark.parametrize("provider", names())
def test_every_control_is_told(provider: str) -> None:
    assert [name for _, name in fake(provider).make(0).control.routes if f"/{name}" not in TEXT] == []


def test_every_law_is_told() -> None:
    assert [name for name in laws.__all__ if f"`{name}`" not in TEXT] == []
