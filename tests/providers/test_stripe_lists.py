"""Every Stripe collection is read whole, in one canonical shape, through listing, fetch and children."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_stripe import NOW, Json, SmallStripe, sub_list

from headrace.http import Request, Response
from headrace.providers.kit import (
    EVERYTHING,
    ChildSet,
    Collection,
    Context,
    Delete,
    Faulted,
    Item,
    Record,
    Window,
)
from headrace.providers.kit.checks import drive, walk
from headrace.providers.stripe import STRIPE
from headrace.providers.stripe.collections import LISTED, PER_PARENT

ALL = Context({}, NOW, frozenset(collection.id for collection in STRIPE.collections))
RESOURCES = [entry.resource for entry in LISTED]
CHILDREN = [entry.child for entry in PER_PARENT]


def only(*collections: str) -> Context:
    return Context({}, NOW, STRIPE.reads(collections))


def collection(name: str) -> Collection:
    found = STRIPE.collection(f"stripe:{name}")
    assert found is not None
    return found


def listed(name: str, stripe: SmallStripe, ctx: Context = ALL, window: Window = EVERYTHING) -> list[Item]:
    listing = collection(name).listing
    assert listing is not None
    return [item for page in walk(listing.page, ctx, window, stripe.respond) for item in page.items]


def fetched(name: str, key: str, stripe: SmallStripe, ctx: Context = ALL, parent: str | None = None) -> list[Item]:
    fetch = collection(name).fetch
    assert fetch is not None
    return drive(fetch.page(ctx, key, parent), stripe.respond)[0].items


def records(items: list[Item], name: str) -> dict[str, Record]:
    """The records of one collection by id, each of which must be there once."""
    found = [item for item in items if isinstance(item, Record) and item.collection == f"stripe:{name}"]
    by_id = {item.id: item for item in found}
    assert len(by_id) == len(found)
    return by_id


def data(record: Record) -> Any:
    return json.loads(record.raw)


def thing(name: str, number: int, **more: Any) -> Json:
    return {"id": f"{name}_{number}", "object": name, "created": 1_700_000_000 - number, **more}


def invoice(number: int, lines: int) -> Json:
    url = f"/v1/invoices/invoice_{number}/lines"
    rows = [{"id": f"il_{number}_{line}", "object": "line_item", "amount": line} for line in range(lines)]
    return thing("invoice", number, lines=sub_list(url, rows), hosted_invoice_url=None)


# ── whole ──


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: r.name)
@pytest.mark.parametrize("count", [0, 1, 100, 250])
def test_a_listing_shows_every_object_once(resource: Any, count: int) -> None:
    stripe = SmallStripe()
    stripe.add(resource.path, *(thing(resource.name, n, active=n % 3 == 0, status="canceled") for n in range(count)))
    name = resource.collection.removeprefix("stripe:")
    assert len(records(listed(name, stripe), name)) == count
    assert len(stripe.asked) <= 2 * (count // 100 + 2)  # each page is read twice by the law


@pytest.mark.parametrize("child", CHILDREN, ids=lambda c: c.collection)
@pytest.mark.parametrize("size", [0, 3, 10, 11, 130])
def test_children_are_found_below_every_parent(child: Any, size: int) -> None:
    stripe = SmallStripe()
    parents = [thing(child.parent.name, number, active=True) for number in range(3)]
    stripe.add(child.parent.path, *parents)
    stripe.carried[child.parent.path] = {child.expand: child.path} if child.expand else {}
    for parent in parents:
        rows = [{"id": f"{parent['id']}_{n}", "object": "x", child_owner(child): parent["id"]} for n in range(size)]
        stripe.add(child.path.format(parent["id"]), *rows)
    name = child.collection.removeprefix("stripe:")
    found = records(listed(name, stripe), name)
    assert sorted(found) == sorted(f"{parent['id']}_{n}" for parent in parents for n in range(size))
    assert all(record.id.startswith(f"{record.parent}_") for record in found.values())


def child_owner(child: Any) -> str:
    return "setup_intent" if child.by else "customer"


SECONDS = st.integers(0, 400)
CUTS = st.lists(st.floats(-10, 410).map(lambda s: round(s, 6)), max_size=6)


@given(st.lists(SECONDS, max_size=30), CUTS)
def test_windows_that_meet_show_every_object_once(births: list[int], cuts: list[float]) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    stripe = SmallStripe()
    made = [
        {"id": f"ch_{n}", "object": "charge", "created": int(start.timestamp()) + birth}
        for n, birth in enumerate(sorted(births, reverse=True))
    ]
    stripe.add("/v1/charges", *made)
    edges = [None, *(start + timedelta(seconds=cut) for cut in sorted(cuts)), None]
    found: list[str] = []
    for lo, hi in pairwise(edges):
        items = listed("charge", stripe, window=Window(lo, hi))
        for record in records(items, "charge").values():
            assert record.created is not None
            assert lo is None or record.created >= lo
            assert hi is None or record.created < hi
            found.append(record.id)
    assert sorted(found) == sorted(row["id"] for row in made)


def test_defaults_that_hide_rows_are_lifted() -> None:
    stripe = SmallStripe()
    stripe.add(
        "/v1/subscriptions", thing("subscription", 0, status="canceled"), thing("subscription", 1, status="active")
    )
    stripe.add("/v1/prices", thing("price", 0, active=False), thing("price", 1, active=True))
    assert set(records(listed("subscription", stripe), "subscription")) == {"subscription_0", "subscription_1"}
    assert set(records(listed("price", stripe), "price")) == {"price_0", "price_1"}


def test_requests_are_classed_by_endpoint() -> None:
    stripe = SmallStripe()
    stripe.add("/v1/invoices", invoice(0, 11))
    listed("invoice", stripe)
    fetched("invoice", "invoice_0", stripe)
    classes = {request.limit_class for request in stripe.asked}
    assert classes == {"/v1/invoices", "/v1/invoices/lines"}


# ── one shape ──


@given(st.integers(0, 230))
def test_sub_lists_are_filled_up(lines: int) -> None:
    stripe = SmallStripe()
    stripe.add("/v1/invoices", invoice(1, 3), invoice(2, lines))
    items = listed("invoice", stripe)
    for number, record in enumerate(records(items, "invoice").values(), start=1):
        assert data(record) == invoice(number, 3 if number == 1 else lines)
    assert len(records(items, "invoice_line_item")) == lines + 3


def test_what_is_filled_up_keeps_every_digit() -> None:
    stripe = SmallStripe()
    stripe.add("/v1/invoices", invoice(1, 12))
    odd = '"quantity_decimal": 1.0, "big": 123456789012345678901234567890, "tiny": 1E-400, "text": "\\u00e9\\/"'

    def respond(request: Request) -> Response:
        response = stripe.respond(request)
        body = response.body.replace(b'"hosted_invoice_url"', odd.encode() + b', "hosted_invoice_url"')
        return Response(200, body.replace(b'"amount": 3', b'"amount": 3.00'), NOW)

    listing = collection("invoice").listing
    assert listing is not None
    (page,) = walk(listing.page, ALL, EVERYTHING, respond)
    text = page.items[0].raw  # type: ignore[union-attr]
    for kept in (b"1.0", b"123456789012345678901234567890", b"1E-400", b"\\u00e9\\/", b"3.00"):
        assert kept in text


def test_an_object_that_goes_away_while_it_is_filled_up_is_left_out() -> None:
    stripe = SmallStripe()
    stripe.add("/v1/invoices", invoice(1, 12), invoice(2, 1))

    def respond(request: Request) -> Response:
        lines = request.url.endswith("/lines")
        return stripe.error(404, "resource_missing") if lines else stripe.respond(request)

    listing = collection("invoice").listing
    assert listing is not None
    (page,) = walk(listing.page, ALL, EVERYTHING, respond)
    assert set(records(page.items, "invoice")) == {"invoice_2"}


def test_listing_and_fetch_show_the_same_object() -> None:
    stripe = SmallStripe()
    stripe.add("/v1/invoices", invoice(1, 25), invoice(2, 2))
    in_list = records(listed("invoice", stripe), "invoice")
    for key, record in in_list.items():
        by_id = records(fetched("invoice", key, stripe), "invoice")[key]
        assert data(by_id) == data(record)
        assert (by_id.created, by_id.version, by_id.parent) == (record.created, record.version, record.parent)


def test_text_that_only_looks_like_a_cut_list_is_left_as_it_is() -> None:
    stripe = SmallStripe()
    note = 'see {"object": "list", "has_more": true}'
    stripe.add("/v1/customers", thing("customer", 1, description=note, metadata={"has_more": "true"}))
    assert data(records(listed("customer", stripe), "customer")["customer_1"])["description"] == note


# ── children that come along ──


def test_embedded_children_come_with_their_parent_when_asked_for() -> None:
    stripe = SmallStripe()
    stripe.add("/v1/invoices", invoice(1, 12))
    assert not records(listed("invoice", stripe, only("stripe:invoice")), "invoice_line_item")
    lines = records(listed("invoice", stripe, only("stripe:invoice_line_item")), "invoice_line_item")
    assert len(lines) == 12
    for line in lines.values():
        assert line.parent == "invoice_1"
        assert line.created == datetime.fromtimestamp(1_700_000_000 - 1, UTC)


def test_fetching_a_parent_tells_which_children_there_are() -> None:
    stripe = SmallStripe()
    stripe.add("/v1/invoices", invoice(1, 12))
    (found,) = [item for item in fetched("invoice", "invoice_1", stripe) if isinstance(item, ChildSet)]
    assert (found.collection, found.parent) == ("stripe:invoice_line_item", "invoice_1")
    assert found.ids == {f"il_1_{n}" for n in range(12)}
    assert found.as_of == NOW


def test_an_embedded_child_is_fetched_by_its_parent() -> None:
    stripe = SmallStripe()
    stripe.add("/v1/invoices", invoice(1, 2))
    there = fetched("invoice_line_item", "il_1_1", stripe, parent="invoice_1")
    assert isinstance(there[0], Record)
    assert there[0].id == "il_1_1"
    gone = fetched("invoice_line_item", "il_1_9", stripe, parent="invoice_1")
    assert gone[0] == Delete("stripe:invoice_line_item", "il_1_9", NOW, parent="invoice_1")
    with_parent = fetched("invoice_line_item", "il_7_0", stripe, parent="invoice_7")
    assert with_parent[0] == Delete("stripe:invoice_line_item", "il_7_0", NOW, parent="invoice_7")


@pytest.mark.parametrize(
    "child", [c for c in CHILDREN if collection(c.collection[7:]).children], ids=lambda c: c.collection
)
def test_children_are_read_again_whole(child: Any) -> None:
    stripe = SmallStripe()
    rows = [{"id": f"x_{n}", "object": "x", child_owner(child): "p_1"} for n in range(130)]
    stripe.add(child.path.format("p_1"), *rows)
    children = collection(child.collection.removeprefix("stripe:")).children
    assert children is not None
    assert children.page is not None
    parent = Record(child.parent.collection, "p_1", b"{}", NOW, created=NOW)
    items: list[Item] = []
    cursor = None
    while True:
        page, _ = drive(children.page(ALL, parent, cursor), stripe.respond)
        items += page.items
        cursor = page.next
        if cursor is None:
            break
    found = records(items, child.collection.removeprefix("stripe:"))
    assert set(found) == {row["id"] for row in rows}
    assert all(record.parent == "p_1" for record in found.values())
    sets = [item for item in items if isinstance(item, ChildSet)]
    assert [s.ids for s in sets] == ([frozenset(found)] if child.mutable else [])


# ── gone ──


def test_a_deleted_object_is_told_by_its_stub_or_by_resource_missing() -> None:
    stripe = SmallStripe()
    stripe.add("/v1/customers", thing("customer", 1))
    stripe.deleted["/v1/customers/customer_2"] = {"id": "customer_2", "object": "customer", "deleted": True}
    for key in ("customer_2", "customer_3"):
        items = fetched("customer", key, stripe)
        assert items[0] == Delete("stripe:customer", key, NOW)
        assert {item.collection for item in items[1:] if isinstance(item, ChildSet) and not item.ids} == {
            "stripe:payment_method",
            "stripe:payment_source",
            "stripe:tax_id",
            "stripe:customer_balance_transaction",
            "stripe:customer_cash_balance_transaction",
        }


@pytest.mark.parametrize("body", [b"<html>not here</html>", b'{"error":{"message":"Unrecognized request URL"}}', b""])
def test_a_404_that_is_not_stripes_own_deletes_nothing(body: bytes) -> None:
    fetch = collection("customer").fetch
    assert fetch is not None
    with pytest.raises(Faulted) as raised:
        drive(fetch.page(ALL, "customer_1", None), lambda request: Response(404, body, NOW))
    assert raised.value.fault.kind == "config"


def test_a_payment_method_without_a_customer_is_at_its_end() -> None:
    stripe = SmallStripe()
    stripe.add("/v1/payment_methods", {"id": "pm_1", "object": "payment_method", "created": 1, "customer": None})
    assert fetched("payment_method", "pm_1", stripe) == [Delete("stripe:payment_method", "pm_1", NOW)]


def test_ids_of_any_characters_are_quoted_in_paths() -> None:
    stripe = SmallStripe()
    stripe.add("/v1/coupons", {"id": "50% off/sommer ü?", "object": "coupon", "created": 1})
    assert "50% off/sommer ü?" in records(fetched("coupon", "50% off/sommer ü?", stripe), "coupon")
    assert stripe.asked[-1].url == "/v1/coupons/50%25%20off%2Fsommer%20%C3%BC%3F"


# ── the table ──


def test_every_collection_is_named_after_stripes_object() -> None:
    for each in STRIPE.collections:
        assert each.id == f"stripe:{each.name}"
        assert each.name == each.name.lower().replace(".", "_")
    assert len(STRIPE.collections) >= 30


@pytest.mark.parametrize("each", STRIPE.collections, ids=lambda c: c.name)
def test_every_collection_has_a_way_to_everything_to_changes_and_to_deletes(each: Collection) -> None:
    assert each.listing is not None or each.embedded
    found_by = [bool(STRIPE.feeds_of(each.id)), bool(each.changes), each.children is not None]
    assert any(found_by) or each.sweep_every is not None
    assert each.sweep_every is None or each.sweep_every <= timedelta(days=7)
    if each.deletes == "feed":
        assert STRIPE.feeds_of(each.id)
    if STRIPE.feeds_of(each.id):
        assert each.fetch is not None, "the feed mentions it"


def test_what_is_read_along_is_the_wanted_and_the_parents_above() -> None:
    assert STRIPE.reads(["stripe:invoice_line_item"]) == {"stripe:invoice_line_item", "stripe:invoice"}
    assert STRIPE.reads(["stripe:tax_id"]) == {"stripe:tax_id"}
    assert [c.name for c in (*STRIPE.embedded_in("stripe:invoice"),)] == ["invoice_line_item"]
