"""The mutants of `make mutants` can be made: what each of them changes is still there."""

import pytest
from mutant import STREAM, Mutant
from mutants_of_consumers import OF_CONSUMERS
from mutants_of_the_log import OF_THE_LOG
from mutants_of_the_rest import OF_THE_REST

MUTANTS = (*OF_CONSUMERS, *OF_THE_LOG, *OF_THE_REST)


def test_each_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_it_changes_is_there(mutant: Mutant) -> None:
    text = (STREAM / mutant.file).read_text()
    assert mutant.missing(text) == []
    assert mutant.broken(text) != text


@pytest.mark.parametrize("laws", sorted({mutant.laws for mutant in MUTANTS}), ids=" ".join)
def test_the_tests_that_it_asks_are_there(laws: tuple[str, ...]) -> None:
    assert [law for law in laws if not (STREAM.parents[2] / "tests" / "stream" / law.split("::")[0]).is_file()] == []
