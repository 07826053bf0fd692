"""What the event log says of the objects of an account: the latest of each, canonical or to be fetched."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_stripe import NOW, Json, SmallStripe, sub_list

from headrace.http import Request, Response
from headrace.providers.kit import ChildSet, Context, Delete, Item, Mention, Record, Window
from headrace.providers.kit.checks import walk
from headrace.providers.stripe import STRIPE
from headrace.providers.stripe.access import VERSION

(FEED,) = STRIPE.feeds
ALL = frozenset(collection.id for collection in STRIPE.collections)
T0 = 1_700_000_000
WHEN = datetime.fromtimestamp(T0, UTC)
SLACK = timedelta(seconds=3)


def event(kind: str, thing: Json, at: int = T0, version: str | None = VERSION, number: int = 0) -> Json:
    return {
        "id": f"evt_{at}_{number}",
        "object": "event",
        "type": kind,
        "created": at,
        "api_version": version,
        "data": {"object": thing, "previous_attributes": {}},
        "pending_webhooks": 1,
    }


def read(*events: Json, collections: frozenset[str] = ALL - {"stripe:event"}) -> list[Item]:
    """The items of one page of events, the newest first."""
    stripe = SmallStripe()
    stripe.add("/v1/events", *sorted(events, key=lambda e: -e["created"]))
    ctx = Context({}, NOW, collections)
    return [item for page in walk(FEED.page, ctx, Window(), stripe.respond) for item in page.items]


def customer(name: str = "A", key: str = "cus_1") -> Json:
    return {"id": key, "object": "customer", "created": T0 - 10, "name": name}


def invoice(lines: int, *, cut: bool = False) -> Json:
    rows = [{"id": f"il_{n}", "object": "line_item"} for n in range(lines)]
    return {
        "id": "in_1",
        "object": "invoice",
        "created": T0 - 10,
        "lines": {**sub_list("/v1/invoices/in_1/lines", rows), "has_more": cut},
    }


# ── one event ──


def test_an_event_of_the_pinned_version_carries_the_object() -> None:
    (item,) = read(event("customer.updated", customer()))
    assert isinstance(item, Record)
    assert (item.collection, item.id, json.loads(item.raw)) == ("stripe:customer", "cus_1", customer())
    assert (item.as_of, item.updated, item.slack, item.version) == (WHEN, WHEN, SLACK, 0)
    assert item.created == WHEN - timedelta(seconds=10)


@pytest.mark.parametrize("version", ["2019-02-19", None])
def test_an_event_of_another_version_only_mentions_it(version: str | None) -> None:
    assert read(event("customer.updated", customer(), version=version)) == [Mention("stripe:customer", "cus_1", WHEN)]


def test_an_object_with_a_sub_list_cut_short_is_only_mentioned() -> None:
    assert read(event("invoice.updated", invoice(10, cut=True))) == [Mention("stripe:invoice", "in_1", WHEN)]


def test_an_object_whose_children_are_asked_for_is_read_as_it_is_now() -> None:
    only_invoices = read(event("invoice.updated", invoice(2)), collections=STRIPE.reads(["stripe:invoice"]))
    assert [type(item) for item in only_invoices] == [Record]
    assert read(event("invoice.updated", invoice(2))) == [Mention("stripe:invoice", "in_1", WHEN)]


@pytest.mark.parametrize(
    ("kind", "thing", "collection"),
    [
        ("coupon.deleted", {"id": "gold", "object": "coupon"}, "coupon"),
        ("product.deleted", {"id": "prod_1", "object": "product"}, "product"),
        ("price.deleted", {"id": "price_1", "object": "price"}, "price"),
        ("plan.deleted", {"id": "plan_1", "object": "plan"}, "plan"),
        ("invoiceitem.deleted", {"id": "ii_1", "object": "invoiceitem"}, "invoiceitem"),
        ("test_helpers.test_clock.deleted", {"id": "clock_1", "object": "test_helpers.test_clock"},
         "test_helpers_test_clock"),
    ],
)  # fmt: skip
def test_a_deleted_event_deletes(kind: str, thing: Json, collection: str) -> None:
    assert read(event(kind, thing)) == [Delete(f"stripe:{collection}", thing["id"], WHEN, slack=SLACK)]
    assert read(event(kind, thing, version="2019-02-19")) == read(event(kind, thing))


def test_a_subscription_that_ended_stays() -> None:
    ended = {"id": "sub_1", "object": "subscription", "status": "canceled", "items": sub_list("/v1/x", [])}
    (item,) = read(event("customer.subscription.deleted", ended), collections=STRIPE.reads(["stripe:subscription"]))
    assert isinstance(item, Record)


def test_a_deleted_draft_takes_its_lines_with_it() -> None:
    assert read(event("invoice.deleted", invoice(2))) == [
        Delete("stripe:invoice", "in_1", WHEN, slack=SLACK),
        ChildSet("stripe:invoice_line_item", "in_1", frozenset(), WHEN, SLACK),
    ]


def test_a_deleted_customer_takes_along_what_hangs_from_it() -> None:
    wanted = frozenset({"stripe:payment_method", "stripe:tax_id"})
    assert read(event("customer.deleted", customer()), collections=wanted) == [
        ChildSet("stripe:payment_method", "cus_1", frozenset(), WHEN, SLACK),
        ChildSet("stripe:tax_id", "cus_1", frozenset(), WHEN, SLACK),
    ]


def test_a_payment_method_lives_as_long_as_it_has_a_customer() -> None:
    attached = {"id": "pm_1", "object": "payment_method", "created": T0, "customer": "cus_1"}
    assert read(event("payment_method.attached", attached)) == [
        Mention("stripe:payment_method", "pm_1", WHEN, parent="cus_1")
    ]
    for version in (VERSION, "2019-02-19"):
        gone = read(event("payment_method.detached", {**attached, "customer": None}, version=version))
        assert gone == [Delete("stripe:payment_method", "pm_1", WHEN, slack=SLACK)]


@pytest.mark.parametrize("name", ["card", "bank_account", "source"])
def test_sources_belong_to_their_customer(name: str) -> None:
    source = {"id": "src_1", "object": name, "customer": "cus_1"}
    assert read(event("customer.source.updated", source)) == [
        Mention("stripe:payment_source", "src_1", WHEN, parent="cus_1")
    ]
    assert read(event("customer.source.deleted", source)) == [
        Delete("stripe:payment_source", "src_1", WHEN, parent="cus_1", slack=SLACK)
    ]


def test_the_bank_account_of_a_connected_account_is_no_payment_source() -> None:
    account = {"id": "ba_1", "object": "bank_account", "account": "acct_1", "customer": None}
    assert read(event("account.external_account.created", account)) == []


def test_parts_of_other_objects_mention_these() -> None:
    discount = {"id": "di_1", "object": "discount", "customer": "cus_1", "subscription": "sub_1"}
    assert read(event("customer.discount.created", discount)) == [
        Mention("stripe:customer", "cus_1", WHEN),
        Mention("stripe:subscription", "sub_1", WHEN),
    ]
    refund = {"id": "fr_1", "object": "fee_refund", "fee": "fee_1"}
    assert read(event("application_fee.refund.updated", refund)) == [Mention("stripe:application_fee", "fee_1", WHEN)]


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("invoice.upcoming", {"object": "invoice", "lines": sub_list("/v1/x", [])}),
        ("balance.available", {"object": "balance", "available": []}),
        ("account.application.deauthorized", {"id": "ca_1", "object": "application"}),
        ("thing.that_stripe_adds", {"id": "new_1", "object": "new_thing"}),
        ("odd.one", {"id": None, "object": 7}),
    ],
)
def test_events_of_what_is_no_collection_say_nothing(kind: str, thing: Json) -> None:
    assert read(event(kind, thing)) == []


def test_what_is_not_asked_for_is_not_made() -> None:
    events = [event("customer.updated", customer()), event("invoice.updated", invoice(1), T0 + 1)]
    wanted = STRIPE.reads(["stripe:charge", "stripe:payment_method"])
    assert read(*events, collections=wanted) == []


def test_only_the_lines_asked_for_still_read_their_invoice() -> None:
    wanted = STRIPE.reads(["stripe:invoice_line_item"])
    assert read(event("invoice.updated", invoice(10, cut=True)), collections=wanted) == [
        Mention("stripe:invoice", "in_1", WHEN)
    ]


def test_events_can_be_kept_as_records() -> None:
    made = event("customer.updated", customer())
    items = read(made, collections=frozenset({"stripe:event"}))
    assert [(type(item), item.collection) for item in items] == [(Record, "stripe:event")]
    assert isinstance(items[0], Record)
    assert json.loads(items[0].raw) == made
    assert items[0].as_of == NOW


# ── several ──


def test_the_latest_event_of_a_page_speaks_for_the_object() -> None:
    events = [event("customer.updated", customer(name), T0 + n) for n, name in enumerate("ABC")]
    (item,) = read(*events)
    assert isinstance(item, Record)
    assert json.loads(item.raw)["name"] == "C"
    assert read(*events, event("customer.deleted", customer(), T0 + 9))[0] == Delete(
        "stripe:customer", "cus_1", WHEN + timedelta(seconds=9), slack=SLACK
    )


def test_two_events_of_an_object_in_one_second_only_mention_it() -> None:
    first, second = event("customer.created", customer("A")), event("customer.updated", customer("B"), number=1)
    assert read(first, second) == read(second, first) == [Mention("stripe:customer", "cus_1", WHEN)]
    deleted = event("customer.deleted", customer(), number=2)
    assert read(first, deleted) == [Mention("stripe:customer", "cus_1", WHEN)]
    card = {"id": "card_1", "object": "card", "customer": "cus_1"}
    twice = [event("customer.source.created", card), event("customer.source.updated", card, number=1)]
    assert read(*twice) == [Mention("stripe:payment_source", "card_1", WHEN, parent="cus_1")]


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["cus_1", "cus_2", "cus_3"]),
        st.integers(0, 5),
        st.sampled_from(["customer.created", "customer.updated", "customer.deleted"]),
        st.sampled_from([VERSION, "2019-02-19"]),
    ),
    max_size=30,
)


@given(CHANGES, st.randoms())
def test_whatever_the_order_on_the_page_each_object_is_named_once_at_its_latest(changes: Any, random: Any) -> None:
    events = [
        event(kind, customer(f"{number}", key), T0 + at, version, number)
        for number, (key, at, kind, version) in enumerate(changes)
    ]
    random.shuffle(events)
    items = read(*events, collections=frozenset({"stripe:customer"}))
    latest = {key: max(at for k, at, _, _ in changes if k == key) for key in {k for k, _, _, _ in changes}}
    assert {item.id: item.as_of for item in items} == {  # type: ignore[union-attr]
        key: datetime.fromtimestamp(T0 + at, UTC) for key, at in latest.items()
    }
    for item in items:
        assert not isinstance(item, ChildSet)
        of_it = [c for c in changes if c[0] == item.id and c[1] == latest[item.id]]
        if len(of_it) > 1:
            assert isinstance(item, Mention)
        elif of_it[0][2] == "customer.deleted":
            assert isinstance(item, Delete)
        else:
            assert isinstance(item, Record if of_it[0][3] == VERSION else Mention)


@given(st.integers(0, 350))
def test_a_window_of_events_is_read_to_its_end(count: int) -> None:
    events = [event("customer.updated", customer(key=f"cus_{n}"), T0 - n) for n in range(count)]
    items = read(*events)
    assert [item.id for item in items if isinstance(item, Record)] == [f"cus_{n}" for n in range(count)]


def test_an_event_gives_the_same_object_as_a_list_and_a_fetch() -> None:
    stripe = SmallStripe()
    stripe.add("/v1/invoices", invoice(10))
    ctx = Context({}, NOW, ALL)
    collection = STRIPE.collection("stripe:invoice")
    assert collection is not None
    assert collection.listing is not None
    (page,) = walk(collection.listing.page, ctx, Window(), stripe.respond)
    in_list = {item.id: json.loads(item.raw) for item in page.items if isinstance(item, Record)}
    wanted = frozenset({"stripe:invoice"})
    (in_event,) = read(event("invoice.updated", invoice(10)), collections=wanted)
    assert isinstance(in_event, Record)
    assert json.loads(in_event.raw) == in_list["in_1"]


def test_the_feed_reads_the_window_asked_for_without_a_filter_of_types() -> None:
    asked: list[Request] = []

    def respond(request: Request) -> Response:
        asked.append(request)
        return Response(200, b'{"object":"list","data":[],"has_more":false}', NOW)

    walk(FEED.page, Context({}, NOW, ALL), Window(WHEN, WHEN + timedelta(seconds=1.5)), respond)
    assert asked[0].url == "/v1/events"
    assert dict(asked[0].query) == {"limit": "100", "created[gte]": str(T0), "created[lt]": str(T0 + 2)}


def test_the_feed_says_what_stripe_promises_of_it() -> None:
    assert FEED.retention == timedelta(days=30)
    assert FEED.resolution == timedelta(seconds=1)
    assert FEED.settle >= timedelta(minutes=1)
    assert FEED.every == timedelta(milliseconds=500)
