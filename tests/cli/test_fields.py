"""Options become fields: what was given and nothing else, and no secret from the command line."""

from pathlib import Path

import pytest
import typer

from headrace.cli.fields import as_json, given, listed, number, properties, rate_limit
from headrace.jsontext import dumps


def test_what_was_not_given_is_no_field_and_null_is_null() -> None:
    assert given(name="x", status=None, external_id="null") == {"name": "x", "external_id": None}


def test_lists_are_given_by_repeating_or_with_commas() -> None:
    assert listed(["a,b", "c "]) == ["a", "b", "c"]
    assert listed(None) is None


def test_a_rate_limit_is_requests_in_seconds() -> None:
    assert rate_limit("100/60") == {"allowed_requests": 100, "interval": 60, "max_concurrent_requests": 0}
    assert rate_limit("5/1/2") == {"allowed_requests": 5, "interval": 1, "max_concurrent_requests": 2}
    assert given(rate_limit=rate_limit("default")) == {"rate_limit": None}
    assert rate_limit(None) is None
    with pytest.raises(typer.BadParameter):
        rate_limit("fast")


def test_numbers_and_json_are_read_with_every_digit() -> None:
    assert number("0.5", "--x") == 0.5
    assert number("null", "--x") == "null"
    assert dumps(as_json('{"a": 1.10000000000000000001}', "--x")) == b'{"a":1.10000000000000000001}'
    with pytest.raises(typer.BadParameter):
        number("much", "--x")
    with pytest.raises(typer.BadParameter):
        as_json("{a}", "--x")


def test_a_secret_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("sk_1\n")
    monkeypatch.setenv("MY_KEY", "sk_2")
    assert properties(["name=ours", "test=true"], [f"secret=@{tmp_path / 'key'}"]) == {
        "name": "ours",
        "test": True,
        "secret": "sk_1",
    }
    assert properties([], ["secret=$MY_KEY"]) == {"secret": "sk_2"}


def test_a_secret_on_the_command_line_is_refused_and_not_repeated() -> None:
    with pytest.raises(typer.BadParameter) as raised:
        properties([], ["secret=sk_live_visible"])
    assert "sk_live_visible" not in str(raised.value)
