"""The server's SOQL, against what it means for rows: by properties, and the refusals that Salesforce documents."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.testing.exchange import ServerClock
from headrace.testing.faults import Faults
from headrace.testing.salesforce.org import Org
from headrace.testing.salesforce.server import KINDS
from headrace.testing.salesforce.soql import Malformed, parse

ROWS: list[dict[str, Any]] = [
    {"Id": "a", "Name": "Weir", "Count": 3, "Open": True},
    {"Id": "b", "Name": "Race", "Count": None, "Open": False},
    {"Id": "c", "Name": None, "Count": -1, "Open": True},
    {"Id": "d", "Name": "O'Neill", "Count": 3, "Open": False},
]


def ids(where: str) -> str:
    tests = parse(f"SELECT Id FROM Mill__c WHERE {where}").tests
    return "".join(row["Id"] for row in ROWS if all(test(row) for test in tests))


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("Count = 3", "ad"),
        ("Count != 3", "bc"),
        ("Count < 3", "c"),
        ("Count >= -1 AND Open = true", "ac"),
        ("Count > 1 AND (Name = 'Weir' OR Name = null)", "a"),
        ("(Count = 3 OR Count = -1) AND Open = false", "d"),
        ("NOT Open = true", "bd"),
        ("Name IN ('Weir', 'O\\'Neill')", "ad"),
        ("Name NOT IN ('Weir')", "bcd"),
        ("Name LIKE '%e%'", "abd"),
    ],
)
def test_conditions_mean_what_they_say(where: str, found: str) -> None:
    assert ids(where) == found


@given(st.integers(-5, 5), st.integers(-5, 5), st.booleans())
def test_a_conjunction_is_both_and_a_disjunction_either(low: int, high: int, negated: bool) -> None:
    sign = "NOT " if negated else ""
    both, either = f"Count >= {low} AND Count <= {high}", f"Count >= {low} OR Count <= {high}"
    one, other = set(ids(f"Count >= {low}")), set(ids(f"Count <= {high}"))
    whole = {row["Id"] for row in ROWS}
    assert set(ids(f"{sign}({both})")) == (whole - (one & other) if negated else one & other)
    assert set(ids(f"{sign}({either})")) == (whole - (one | other) if negated else one | other)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT FROM Account", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Name = 'x' AND Name = 'y' OR Name = 'z' AND Name = 'w'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account LIMIT some", "MALFORMED_QUERY"),
        ("SELECT Colour FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Description = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Acount", "INVALID_TYPE"),
        ("SELECT Id FROM ActivityHistory", "INVALID_TYPE_FOR_OPERATION"),
        ("SELECT Id FROM ContentDocumentLink", "MALFORMED_QUERY"),
        ("SELECT Id FROM Knowledge__kav", "MALFORMED_QUERY"),
    ],
)
def test_queries_are_refused_as_salesforce_refuses_them(query: str, code: str) -> None:
    org = Org(ServerClock().now, Faults(KINDS), seed=1)
    with pytest.raises(Malformed) as refused:
        org.select(parse(query), deleted=False)
    assert refused.value.code == code
