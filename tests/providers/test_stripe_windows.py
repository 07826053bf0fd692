"""A window of one of Stripe's lists shows each of its rows, also where a cursor in it loses the rest of its second."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_stripe import NOW, SmallStripe

from headrace.clock import from_unix
from headrace.http import Request, Response
from headrace.providers.kit import Context, Record, Window
from headrace.providers.kit.checks import walk
from headrace.providers.stripe import STRIPE

CTX = Context({}, NOW, frozenset({"stripe:charge"}))
BEGIN = 1_700_000_000


class Forgetful(SmallStripe):
    """Its cursors lose the rest of their own second in a window of `created`, as was seen of Stripe."""

    def _page(self, path: str, rows: list[dict[str, Any]], query: dict[str, str]) -> Any:
        after = query.get("starting_after")
        if after is not None and {"created[gte]", "created[lt]"} & query.keys():
            second = next(row["created"] for row in rows if row["id"] == after)
            rows = [row for row in rows if row["created"] != second or row["id"] == after]
        return super()._page(path, rows, query)


def listed(stripe: SmallStripe, window: Window) -> list[str]:
    charges = STRIPE.collection("stripe:charge")
    assert charges is not None
    assert charges.listing is not None
    pages = walk(charges.listing.page, CTX, window, stripe.respond)
    return [item.id for page in pages for item in page.items if isinstance(item, Record)]


@given(
    seconds=st.lists(st.integers(0, 230), min_size=1, max_size=5),
    lo=st.none() | st.integers(-1, 4),
    hi=st.none() | st.integers(0, 6),
)
def test_no_row_of_a_window_is_lost_at_a_page_edge(seconds: list[int], lo: int | None, hi: int | None) -> None:
    stripe = Forgetful()
    born = [BEGIN + second for second, count in enumerate(seconds) for _ in range(count)]
    rows = [{"id": f"ch_{n}", "object": "charge", "created": moment} for n, moment in enumerate(born)]
    stripe.add("/v1/charges", *reversed(rows))
    window = Window(*(None if bound is None else from_unix(BEGIN + bound) for bound in (lo, hi)))
    there = {
        row["id"] for row in rows
        if (lo is None or row["created"] >= BEGIN + lo) and (hi is None or row["created"] < BEGIN + hi)
    }  # fmt: skip
    assert set(listed(stripe, window)) == there
    assert len(stripe.asked) <= 2 * len(seconds) + len(there) / 100 + 2


def test_the_second_of_a_page_edge_costs_no_request_of_its_own() -> None:
    stripe = SmallStripe()
    rows = [{"id": f"ch_{n}", "object": "charge", "created": BEGIN + n // 3} for n in range(990)]
    stripe.add("/v1/charges", *reversed(rows))
    window = Window(from_unix(BEGIN), from_unix(BEGIN) + timedelta(days=1))
    assert len(set(listed(stripe, window))) == 990
    assert len(stripe.asked) <= 11


def test_a_row_without_a_time_ends_no_window() -> None:
    stripe = SmallStripe()
    rows = [{"id": f"ch_{n}", "object": "charge", "created": BEGIN + n} for n in range(250)]
    for n in (50, 149, 150, 249):
        del rows[n]["created"]
    stripe.add("/v1/charges", *reversed(rows))
    assert set(listed(stripe, Window(from_unix(BEGIN), None))) == {row["id"] for row in rows}


class Timeless(SmallStripe):
    """Stands in for Stripe, and lists the oldest first or passes over the bounds of `created`, or both."""

    def __init__(self, *, oldest_first: bool, bounded: bool) -> None:
        super().__init__()
        self.oldest_first, self.bounded = oldest_first, bounded

    def _page(self, path: str, rows: list[dict[str, Any]], query: dict[str, str]) -> Any:
        if not self.bounded:
            query = {name: value for name, value in query.items() if not name.startswith("created")}
        return super()._page(path, rows[::-1] if self.oldest_first else rows, query)


@given(
    seconds=st.lists(st.integers(0, 230), min_size=1, max_size=5),
    lo=st.none() | st.integers(-1, 4),
    hi=st.none() | st.integers(0, 6),
    oldest_first=st.booleans(),
    bounded=st.booleans(),
)
def test_a_list_in_which_time_leads_nowhere_is_read_by_id(
    seconds: list[int], lo: int | None, hi: int | None, oldest_first: bool, bounded: bool
) -> None:
    stripe = Timeless(oldest_first=oldest_first, bounded=bounded)
    born = [BEGIN + second for second, count in enumerate(seconds) for _ in range(count)]
    rows = [{"id": f"ch_{n}", "object": "charge", "created": moment} for n, moment in enumerate(born)]
    stripe.add("/v1/charges", *reversed(rows))
    window = Window(*(None if bound is None else from_unix(BEGIN + bound) for bound in (lo, hi)))
    there = {
        row["id"] for row in rows
        if (lo is None or row["created"] >= BEGIN + lo) and (hi is None or row["created"] < BEGIN + hi)
    }  # fmt: skip
    assert there <= set(listed(stripe, window))


class Silent(SmallStripe):
    """It says nothing of what follows: `has_more` is left out, or null."""

    def __init__(self, null: bool) -> None:
        super().__init__()
        self._null = null

    def respond(self, request: Request) -> Response:
        answered = super().respond(request)
        body = orjson.loads(answered.body)
        del body["has_more"]
        return replace(answered, body=orjson.dumps({**body, "has_more": None} if self._null else body))


@pytest.mark.parametrize("null", [False, True])
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250, 400])
def test_where_nothing_is_said_of_what_follows_a_list_goes_on_after_a_full_page(count: int, null: bool) -> None:
    for window in (Window(), Window(from_unix(BEGIN), from_unix(BEGIN + 1000))):
        stripe = Silent(null)
        rows = [{"id": f"ch_{n}", "object": "charge", "created": BEGIN + n // 3} for n in range(count)]
        stripe.add("/v1/charges", *reversed(rows))
        assert set(listed(stripe, window)) == {row["id"] for row in rows}
