"""Which pairs of measures of `bench.scale` say something of the workers, and which of the machine."""

import pytest
from bench.scale import Measure, why_not


def measure(used: float = 1.0, provider: float = 9.0) -> Measure:
    return Measure(1_000.0, {"workers": 40.0, "PostgreSQL": 16.0, "the provider": provider}, used)


def test_a_pair_counts_when_the_workers_bound_and_the_machine_was_the_same() -> None:
    assert why_not(measure(used=0.95), measure(used=0.91, provider=9.8)) is None


@pytest.mark.parametrize("pair", [(measure(used=0.8), measure()), (measure(), measure(used=0.8))])
def test_a_worker_that_did_not_use_its_part_was_not_what_bound(pair: tuple[Measure, Measure]) -> None:
    assert "were not what bound" in str(why_not(*pair))


@pytest.mark.parametrize(("one", "two"), [(9.0, 10.0), (10.0, 9.0)])
def test_a_record_that_cost_the_provider_more_was_read_on_another_machine(one: float, two: float) -> None:
    assert "not the same" in str(why_not(measure(provider=one), measure(provider=two)))
