"""The tables of the comparison with others."""

import pytest
from bench.peers.results import Result, shown, tables

HEADINGS = {"first load": "First load", "killed": "Killed"}


def test_a_row_is_a_peer_with_the_median_of_its_runs() -> None:
    runs = [
        Result("first load", "ours", {"records/s": rate, "peak MB": 91.84}, "yes") for rate in (9000.0, 1.0, 12345.6)
    ]
    assert tables(runs, HEADINGS) == (
        "### First load\n"
        "\n"
        "|  | records/s | peak MB | runs | right |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| ours | 9,000 | 91.8 | 3 | yes |\n"
    )


def test_verdicts_that_disagree_are_all_told() -> None:
    runs = [Result("killed", "theirs", {"repeated": 1.0}, right) for right in ("yes", "NO: 3 missing", "yes")]
    assert tables(runs, HEADINGS).splitlines()[-1] == "| theirs | 1 | 3 | 2 × yes; 1 × NO: 3 missing |"


def test_a_run_that_failed_is_told_with_its_reason_and_takes_no_part_in_the_median() -> None:
    runs = [
        Result("killed", "theirs", {"repeated": 4.0}, "yes"),
        Result("killed", "theirs", failed="not done within 600 s | log:\nTraceback"),
    ]
    last = tables(runs, HEADINGS).splitlines()[-1]
    assert last == "| theirs | 4 | 2 | 1 × yes; 1 × no figures: not done within 600 s / log: Traceback |"


def test_a_figure_that_a_peer_does_not_have_is_a_dash() -> None:
    runs = [Result("killed", "ours", {"repeated": 1.0}), Result("killed", "theirs", {"requests": 2.0})]
    assert tables(runs, HEADINGS).splitlines()[-2:] == ["| ours | 1 | – | 1 |", "| theirs | – | 2 | 1 |"]


def test_scenarios_come_in_the_order_of_the_headings() -> None:
    made = tables([Result("killed", "ours"), Result("first load", "ours")], HEADINGS)
    assert made.index("First load") < made.index("Killed")


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (91.84, "91.8"), (0.7964, "0.796"), (2.0, "2"), (0.0, "0")]
)
def test_figures_are_shown_with_the_digits_that_mean_something(value: float, text: str) -> None:
    assert shown(value) == text
