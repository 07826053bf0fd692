"""`headrace fake NAME`: each provider that has a server can be started by its name alone."""

import pytest

from headrace.testing.command import fake, names, parse_records


def test_every_server_says_how_it_is_made() -> None:
    assert {"stripe", "salesforce", "hubspot"} <= set(names())
    for name in names():
        server = fake(name).make(100, host="127.0.0.1", port=0, seed=3, changes_per_s=0.0, limits="none", faults=[])
        assert (fake(name).name, server.limits, server.seed) == (name, "none", 3)


def test_a_name_that_has_none_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"there are .*stripe"):
        fake("nowhere")


@pytest.mark.parametrize(("text", "counts"), [("70", 70), ("a=1, b=20", {"a": 1, "b": 20})])
def test_records_are_a_number_or_numbers_by_name(text: str, counts: object) -> None:
    assert parse_records(text) == counts


@pytest.mark.parametrize("text", ["many", "a=", "a=1,b", ""])
def test_records_that_are_neither_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="records"):
        parse_records(text)
