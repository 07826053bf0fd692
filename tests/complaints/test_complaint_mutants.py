"""The mutants of the complaints' tests can be made: what each of them changes is still there."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

_PATH = Path(__file__).with_name("mutants.py")
_SPEC = importlib.util.spec_from_file_location("mutants_of_complaints", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE: Any = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _MODULE
_SPEC.loader.exec_module(_MODULE)


@pytest.mark.parametrize("mutant", _MODULE.MUTANTS, ids=lambda mutant: f"{mutant.number}: {mutant.what}")
def test_what_it_changes_is_there(mutant: Any) -> None:
    assert mutant.missing() == []
