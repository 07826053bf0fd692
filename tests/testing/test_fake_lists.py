"""Lists as docs.stripe.com/api/pagination has them, whatever the page size, window, direction and changes between."""

from typing import Any

import pytest
from asking import LIVE_KEY, Client, asking
from hypothesis import given
from hypothesis import strategies as st

from headrace.testing.exchange import Call
from headrace.testing.stripe import StripeServer
from headrace.testing.stripe.catalog import RESOURCES

UNTIL = 1_790_000_000
LISTS = sorted(name for name, resource in RESOURCES.items() if resource.path and "?" not in resource.path)


@pytest.fixture(scope="module")
def server() -> StripeServer:
    return StripeServer(4_000, until=UNTIL, span_days=10)


def ask(server: StripeServer, path: str, query: str = "") -> Any:
    """One page, without a socket."""
    import orjson

    reply = server.answer(Call("GET", path, query, {"authorization": "Bearer sk_test_1"}, b""))
    assert reply.status == 200, reply.body
    return orjson.loads(reply.body)


@given(
    name=st.sampled_from([name for name in LISTS if RESOURCES[name].child is None]),
    limit=st.integers(1, 100),
    window=st.tuples(st.floats(-0.1, 1.1), st.floats(-0.1, 1.1)),
    forward=st.booleans(),
)
def test_pages_of_any_size_in_either_direction_show_a_window_once_newest_first(
    server: StripeServer, name: str, limit: int, window: tuple[float, float], forward: bool
) -> None:
    resource = RESOURCES[name]
    account = server.account
    span = account.population.span_s
    low, high = sorted(int(UNTIL - span + part * span) for part in window)
    born = [(account.id_of(name, o), account.created(name, o)) for o in account.ordinals(name)]
    if resource.hidden:
        born = [(each, moment) for each, moment in born if account.get(name, each)["status"] != resource.hidden[1]]
    bounds = f"&created[gte]={low}&created[lt]={high}" if resource.created else ""
    wanted = [each for each, moment in born if not bounds or low <= moment < high]
    assert _walk(server, resource.path or "", f"limit={limit}{bounds}", forward) == wanted


def _walk(server: StripeServer, path: str, query: str, forward: bool) -> list[str]:
    shown: list[str] = []
    page = ask(server, path, query)
    shown += [row["id"] for row in page["data"]]
    if forward:
        while page["has_more"]:
            page = ask(server, path, f"{query}&starting_after={shown[-1]}")
            shown += [row["id"] for row in page["data"]]
        return shown
    while page["has_more"]:
        page = ask(server, path, f"{query}&starting_after={page['data'][-1]['id']}")
        shown += [row["id"] for row in page["data"]]
    back = [row["id"] for row in page["data"]][-1:]
    if not back:
        return shown
    while True:
        page = ask(server, path, f"{query}&ending_before={back[0]}")
        back = [row["id"] for row in page["data"]] + back
        if not page["has_more"]:
            assert back == shown
            return back


@pytest.mark.parametrize("name", [name for name, r in RESOURCES.items() if r.child and r.child.by is None])
def test_children_of_a_parent_are_listed_under_it(server: StripeServer, name: str) -> None:
    child = RESOURCES[name].child
    assert child is not None
    account = server.account
    for parent in range(min(15, account.store(child.parent).end)):
        path = child.path.format(account.id_of(child.parent, parent))
        shown = _walk(server, path, "limit=7", forward=True)
        assert shown == [account.id_of(name, o) for o in account.view(name, parent).below(1 << 60)]


async def test_manners_of_a_list() -> None:
    async with StripeServer({"customers": 35}) as server, asking(server.base_url) as ask:
        page = await ask("/v1/customers")
        assert page.json.keys() == {"object", "data", "has_more", "url"}
        assert (page.json["object"], page.json["url"]) == ("list", "/v1/customers")
        assert len(page.ids) == 10
        assert page.json["has_more"] is True
        for query, param in (
            ({"limit": 101}, "limit"),
            ({"limit": 0}, "limit"),
            ({"limit": "x"}, "limit"),
            ({"nonsense": 1}, "nonsense"),
            ({"created[gte]": "then"}, "created[gte]"),
        ):
            refused = await ask("/v1/customers", query)
            assert refused.status == 400
            assert refused.error["type"] == "invalid_request_error"
            assert refused.error["param"] == param
        both = await ask("/v1/customers", {"starting_after": page.ids[0], "ending_before": page.ids[1]})
        assert both.status == 400
        exact = (await ask("/v1/customers", {"created": page.json["data"][3]["created"]})).ids
        assert exact == [page.ids[3]]
        assert (await ask("/v1/payment_links", {"created[gte]": 1})).error["code"] == "parameter_unknown"


async def test_an_unknown_or_deleted_cursor_is_refused_as_stripe_does() -> None:
    async with StripeServer({"plans": 30}) as server, asking(server.base_url) as ask:
        page = await ask("/v1/plans")
        server.account.delete("plans", page.ids[-1])
        for cursor in (page.ids[-1], "plan_unknown"):
            refused = await ask("/v1/plans", {"starting_after": cursor})
            assert refused.status == 400
            assert refused.error["code"] == "resource_missing"
            assert refused.error["param"] == "starting_after"
            assert cursor in refused.error["message"]


async def test_cancelled_subscriptions_are_hidden_unless_asked_for() -> None:
    async with StripeServer({"subscriptions": 80, "customers": 9}) as server, asking(server.base_url) as ask:
        every = await ask.walk("/v1/subscriptions", {"status": "all", "limit": 100})
        shown = await ask.walk("/v1/subscriptions", {"limit": 7})
        cancelled = [each["id"] for each in every if each["status"] == "canceled"]
        assert cancelled
        assert [each["id"] for each in every if each["status"] != "canceled"] == [each["id"] for each in shown]
        only = await ask.walk("/v1/subscriptions", {"status": "canceled"})
        assert [each["id"] for each in only] == cancelled


async def test_filters_narrow_and_agree_with_the_objects() -> None:
    async with StripeServer(3_000) as server, asking(server.base_url) as ask:
        customer = server.account.id_of("customers", 5)
        for path in ("/v1/charges", "/v1/invoices", "/v1/payment_intents"):
            every = await ask.walk(path, {"limit": 100})
            mine = await ask.walk(path, {"customer": customer, "limit": 2})
            assert mine == [each for each in every if each["customer"] == customer]
        active = await ask.walk("/v1/prices", {"active": "true"})
        assert active == await ask.walk("/v1/prices")
        assert await ask.walk("/v1/prices", {"active": "false"}) == []


async def test_sub_lists_hold_ten_and_tell_where_the_rest_is() -> None:
    async with (
        StripeServer({"invoices": 2, "customers": 1}, children={"invoice_lines": (25, 3)}) as server,
        asking(server.base_url) as ask,
    ):
        few, many = (await ask("/v1/invoices")).json["data"]
        assert len(few["lines"]["data"]) == 3
        assert few["lines"]["has_more"] is False
        assert len(many["lines"]["data"]) == 10
        assert many["lines"]["has_more"] is True
        lines = await ask.walk(many["lines"]["url"])
        assert len(lines) == 25
        assert lines[:10] == many["lines"]["data"]


async def test_lists_that_need_their_parent_say_so() -> None:
    async with StripeServer({"subscriptions": 3, "customers": 1}) as server, asking(server.base_url) as ask:
        refused = await ask("/v1/subscription_items")
        assert (refused.status, refused.error["code"]) == (400, "parameter_missing")
        subscription = server.account.id_of("subscriptions", 2)
        items = await ask.walk("/v1/subscription_items", {"subscription": subscription})
        assert {item["subscription"] for item in items} == {subscription}
        assert (await ask("/v1/invoices/in_unknown/lines")).status == 404


async def test_expanding_puts_objects_in_place_of_ids_and_shows_lists_that_are_left_out() -> None:
    async with StripeServer(2_000) as server, asking(server.base_url) as ask:
        charge = (await ask("/v1/charges", {"expand[]": "data.customer"})).json["data"][0]
        assert charge["customer"]["object"] == "customer"
        customers = (await ask("/v1/customers", {"expand[]": "data.tax_ids", "limit": 100})).json["data"]
        assert all("tax_ids" in each for each in customers)
        long = next(each for each in customers if each["tax_ids"]["has_more"])
        assert len(await ask.walk(long["tax_ids"]["url"])) == 11


async def test_a_live_key_shows_live_objects() -> None:
    async with StripeServer({"customers": 3}) as server:
        async with asking(server.base_url) as ask:
            test = (await ask("/v1/customers")).json["data"]
        async with asking(server.base_url, LIVE_KEY) as ask:
            live = (await ask("/v1/customers")).json["data"]
    assert {each["livemode"] for each in test} == {False}
    assert live == [{**each, "livemode": True} for each in test]


async def _ids(ask: Client, path: str) -> list[str]:
    return [each["id"] for each in await ask.walk(path, {"limit": 100})]


async def test_what_is_added_while_paging_comes_before_and_moves_nothing() -> None:
    async with StripeServer({"customers": 250}) as server, asking(server.base_url) as ask:
        before = await _ids(ask, "/v1/customers")
        first = await ask("/v1/customers", {"limit": 100})
        added = [server.account.create("customers")["id"] for _ in range(3)]
        second = await ask("/v1/customers", {"limit": 100, "starting_after": first.ids[-1]})
        assert first.ids + second.ids == before[:200]
        assert (await _ids(ask, "/v1/customers"))[:3] == added[::-1]
