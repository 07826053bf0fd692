"""A comparison that is taken over several runs of the command."""

from pathlib import Path

import pytest
from bench.peers.results import Result, tables
from bench.peers.series import Mixed, Series, expected_s, known

LOADED = Result("first load", "ours", {"records/s": 9000.0}, "yes")
SIZES = {"first load": 1000, "again": 1000}


def _added(series: Series, result: Result, number: int, *, size: int = 1000, took_s: float = 2.0) -> None:
    series.add(result, number=number, size=size, took_s=took_s, versions={"theirs": "1.0"})


def test_a_series_holds_what_an_earlier_command_has_taken(tmp_path: Path) -> None:
    _added(Series("night", tmp_path), LOADED, 1)
    later = Series("night", tmp_path)
    assert later.results == [LOADED]
    assert later.holds(1, "ours") == {"first load"}
    assert later.holds(2, "ours") == set()
    assert later.find(1, "ours", "first load") == LOADED
    assert later.versions() == {"theirs": "1.0"}


def test_a_command_that_was_killed_while_it_wrote_spoils_nothing(tmp_path: Path) -> None:
    series = Series("night", tmp_path)
    _added(series, LOADED, 1)
    with (tmp_path / "night.jsonl").open("ab") as file:
        file.write(b'{"result":{"scen')
    again = Series("night", tmp_path)
    _added(again, LOADED, 2)
    assert [taken.round for taken in Series("night", tmp_path).taken] == [1, 2]


def test_without_a_name_nothing_is_kept(tmp_path: Path) -> None:
    _added(Series(None, tmp_path), LOADED, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_series_is_of_one_size(tmp_path: Path) -> None:
    series = Series("night", tmp_path)
    _added(series, LOADED, 1)
    series.expect({"first load": 1000, "hostile": 5})
    with pytest.raises(Mixed, match="another name"):
        series.expect({"first load": 2000})


def test_a_series_is_of_one_machine(tmp_path: Path) -> None:
    series = Series("night", tmp_path)
    _added(series, LOADED, 1)
    path = tmp_path / "night.jsonl"
    path.write_text(path.read_text().replace(series.machine, "another"))
    with pytest.raises(Mixed, match="another name"):
        Series("night", tmp_path)


def test_below_a_table_stands_of_when_its_rounds_are(tmp_path: Path) -> None:
    series = Series("night", tmp_path)
    _added(series, LOADED, 1)
    _added(series, LOADED, 2)
    at = f"{series.taken[0].at:%Y-%m-%d} at {series.taken[0].commit}"
    told = tables(series.results, {"first load": "First load"}, series.origins())
    assert told.splitlines()[-1] == f"Rounds: 1, 2 of {at}."


def test_the_time_is_told_from_what_was_taken_before_at_the_nearest_size(tmp_path: Path) -> None:
    series = Series("night", tmp_path)
    for size, took_s in ((10, 5.0), (1000, 2.0), (1000, 3.0), (1000, 40.0)):
        _added(series, LOADED, 1, size=size, took_s=took_s)
    before = known(tmp_path)
    assert expected_s(before, "ours", {"first load"}, {"first load": 2000}) == 6.0
    assert expected_s(before, "ours", set(), SIZES) == 0.0
    assert expected_s(before, "ours", {"first load", "again"}, SIZES) is None
    assert expected_s(before, "theirs", {"first load"}, SIZES) is None
    assert expected_s(before, "ours", {"first load"}, {"first load": 10_001}) is None
