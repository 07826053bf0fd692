"""Filters in Airtable's language of formulas.

Sources: https://support.airtable.com/docs/formula-field-reference (LAST_MODIFIED_TIME, CREATED_TIME, IS_AFTER,
IS_BEFORE, RECORD_ID), https://airtable.com/developers/web/api/list-records (filterByFormula).
"""

from collections.abc import Iterable
from datetime import timedelta

from headrace.http import Query
from headrace.providers.airtable.places import written
from headrace.providers.kit import Window

_CHANGED = "IF(LAST_MODIFIED_TIME(),LAST_MODIFIED_TIME(),CREATED_TIME())"
"""A record that was never changed after its birth has no time of change."""
_GRAIN = timedelta(milliseconds=1)


def changed_within(window: Window) -> Query:
    """The records whose last change by somebody lies in the window; both comparisons leave out the moment named. None
    for a window that is open at both ends."""
    low = None if window.lo is None else window.lo - _GRAIN
    bounds = [("IS_AFTER", low), ("IS_BEFORE", window.hi)]
    tests = [f"{compare}({_CHANGED},'{written(moment)}')" for compare, moment in bounds if moment is not None]
    if not tests:
        return ()
    return (("filterByFormula", tests[0] if len(tests) == 1 else f"AND({','.join(tests)})"),)


def among(ids: Iterable[str]) -> tuple[str, str]:
    """The records with these ids."""
    tests = [f"RECORD_ID()='{each}'" for each in ids]
    return ("filterByFormula", tests[0] if len(tests) == 1 else f"OR({','.join(tests)})")
