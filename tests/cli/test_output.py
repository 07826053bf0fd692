"""What people read: objects a line a field, progress with rate and time left."""

from typing import Any

import pytest
from rich.console import Console

from headrace.cli import output
from headrace.cli.watch import Progress, _drawn


def told(capsys: pytest.CaptureFixture[str], value: dict[str, Any]) -> dict[str, str]:
    output.one(value, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    return {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line.strip()}


def test_an_object_within_is_told_by_its_fields_and_one_of_its_own_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(
        capsys,
        {
            "name": "Choam",
            "health": {"status": "error", "notes": ["one thing", "another"]},
            "credential": {"id": "01", "name": "ours", "properties": {"secret": "***********"}},
            "collection_ids": ["stripe:customer", "stripe:charge"],
            "metadata": {"a": 1},
            "max_age_days": None,
            "filters": {"provider": "*", "sync_id": []},
        },
    )
    assert shown == {
        "name": "Choam",
        "health.status": "error",
        "health.notes": "one thing",
        "another": "",
        "credential": "ours (01)",
        "collection_ids": "stripe:customer, stripe:charge",
        "metadata": '{"a":1}',
        "max_age_days": "–",
        "filters.provider": "*",
        "filters.sync_id": "–",
    }


def test_a_plan_tells_what_is_known_and_says_what_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    def backfill(requests: int | None, seconds: float | None, exact: bool) -> dict[str, Any]:
        return {"collection_id": "shop:tag", "requests": requests, "seconds": seconds, "exact": exact}

    backfills = [backfill(1200, 60.5, True), backfill(1, 0.0, False), backfill(None, None, False)]
    output.plan({"dry_run": True, "backfill": backfills, "purge": [], "affects": []}, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "would read shop:tag from the start (1,200 requests, 60.5 s at least)",
        "would read shop:tag from the start (about 1 request, 0.0 s at least)",
        "would read shop:tag from the start (nobody can tell how many requests that takes)",
    ]


def collection(**fields: Any) -> dict[str, Any]:
    known = {"phase": "backfill", "records": 0, "records_read": 0, "expected": None, "eta_seconds": None}
    return {"id": "stripe:customer", "lag_seconds": None, "last_error": None, **known, **fields}


def drawn(row: dict[str, Any], rate: float, width: int = 200) -> str:
    sync = {"name": "Choam", "status": "active", "health": {"status": "healthy", "notes": ["[a] note"]}}
    console = Console(width=width)
    with console.capture() as captured:
        console.print(_drawn(console, sync, [(row, rate)]))
    return captured.get()


@pytest.mark.parametrize(
    ("row", "rate", "parts"),
    [
        (collection(records_read=250, records=250, expected=1250), 100.0, ["1,250", "100", "10 s"]),
        (collection(records_read=250, expected=100_250), 10.0, ["167 min"]),
        (collection(records_read=250, eta_seconds=40), 10.0, ["40 s"]),
        (collection(records_read=250), 10.0, ["–"]),
        (collection(phase="live", records=1250, expected=5000, lag_seconds=0.1234), 0.0, ["1,250", "0.1 s"]),
        (collection(last_error="[odd] markup"), 0.0, ["[odd] markup"]),
    ],
)
def test_progress_tells_rate_and_time_left(row: dict[str, Any], rate: float, parts: list[str]) -> None:
    shown = drawn(row, rate)
    assert all(part in shown for part in [*parts, "Choam", "healthy", "[a] note"])


@pytest.mark.parametrize("width", [30, 40, 60])
def test_a_narrow_terminal_shows_no_figure_in_pieces(width: int) -> None:
    reading = collection(id="stripe:invoice_line_item", records=1_234_567, records_read=1_234_567, expected=2_000_000)
    shown = drawn(reading, 1_000.0, width)
    assert all(len(line) <= width for line in shown.splitlines())
    for whole in ("stripe:invoice_line_item", "1,234,567", "2,000,000", "1,000/s", "13 min", "healthy", "[a] note"):
        assert whole in shown
    live = drawn(collection(phase="live", records=1_250, lag_seconds=0.1234, last_error="[odd] markup"), 0.0, width)
    assert all(whole in live for whole in ("1,250 records", "lag 0.1 s", "[odd] markup"))


def test_a_rate_is_of_the_last_quarter_of_a_minute() -> None:
    progress = Progress()
    assert progress.note(0.0, 0) == 0.0
    assert progress.note(1.0, 100) == 100.0
    assert progress.note(2.0, 100) == 50.0
    for second in range(3, 20):
        rate = progress.note(float(second), 100)
    assert rate == 0.0
    assert progress.note(20.0, 50) == 0.0, "a purge is no negative rate"
