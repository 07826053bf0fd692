"""docs/laws.md names tests and mutants that there are, and leaves out no mutant."""

import re
from pathlib import Path

from mutants_of_consumers import OF_CONSUMERS
from mutants_of_the_log import OF_THE_LOG
from mutants_of_the_rest import OF_THE_REST

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "laws.md").read_text()


def test_each_test_that_it_names_is_there() -> None:
    named = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 60
    assert [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text()] == []


def test_the_mutants_that_it_names_are_those_that_there_are() -> None:
    rows = [line.rstrip("|").rsplit("|", 1)[-1] for line in PAGE.splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"[a-z]+(?:-[a-z]+)+|unseen|unwoken", row)}
    assert named == {mutant.name for mutant in (*OF_CONSUMERS, *OF_THE_LOG, *OF_THE_REST)}
