"""Changes of the account, and the events that tell of them, as docs.stripe.com/api/events has them."""

from typing import Any

import jsonschema
import orjson
import pytest
from asking import asking
from hypothesis import given
from hypothesis import strategies as st
from sdk_schema import schema_of

from headrace.testing.stripe import Account, NoSuchObject, NotAllowed, StripeServer, difference
from headrace.testing.stripe.catalog import RESOURCES
from headrace.testing.stripe.mutator import Mutator

UNTIL = 1_790_000_000


def told(account: Account, since: int = 0) -> list[dict[str, Any]]:
    """The events of changes since the `since`th, oldest first."""
    log = account.events
    events = [orjson.loads(log.render(event)) for event in log.below(log.newest(), UNTIL + 1, frozenset())]
    return events[::-1][since:]


@pytest.fixture
def account() -> Account:
    return StripeServer(1_500, until=UNTIL).account


def test_a_creation_is_told_with_the_whole_object(account: Account) -> None:
    made = account.create("customers", {"name": "Ada", "metadata": {"plan": "pro"}})
    assert made["metadata"] == {"plan": "pro"}
    assert next(account.ids("customers")) == made["id"]
    (event,) = told(account)
    assert event["type"] == "customer.created"
    assert event["data"] == {"object": made}


def test_an_update_tells_what_was_there_before(account: Account) -> None:
    customer = account.get("customers", next(account.ids("customers")))
    now = account.update("customers", customer["id"], {"name": "Ada", "metadata": {"plan": "pro", "segment": None}})
    assert now["metadata"] == {k: v for k, v in customer["metadata"].items() if k != "segment"} | {"plan": "pro"}
    (event,) = told(account)
    assert event["type"] == "customer.updated"
    assert event["data"]["object"] == now == account.get("customers", customer["id"])
    before = {"name": customer["name"], "metadata": {"plan": None, "segment": customer["metadata"]["segment"]}}
    assert event["data"]["previous_attributes"] == before


def test_an_update_that_changes_nothing_tells_nothing(account: Account) -> None:
    customer = account.get("customers", next(account.ids("customers")))
    account.update("customers", customer["id"], {"name": customer["name"]})
    assert told(account) == []


def test_an_event_keeps_the_object_as_it_was_then(account: Account) -> None:
    invoice = next(account.ids("invoices"))
    first = account.update("invoices", invoice, {"description": "first"})
    account.create("invoice_lines", {"description": "one more"}, parent=invoice)
    last = account.update("invoices", invoice, {"description": "last"})
    events = told(account)
    assert events[0]["data"]["object"] == first
    assert events[-1]["data"]["object"] == last
    assert len(last["lines"]["data"]) != len(first["lines"]["data"]) or last["lines"] != first["lines"]


def test_a_change_of_status_has_its_own_event(account: Account) -> None:
    invoice = account.create("invoices", {"status": "draft"})
    account.update("invoices", invoice["id"], {"status": "open"})
    intent = account.create("payment_intents", {"status": "requires_payment_method"})
    account.update("payment_intents", intent["id"], {"status": "succeeded"})
    account.update("payment_intents", intent["id"], {"description": "told by no event"})
    types = [event["type"] for event in told(account)]
    assert types == [
        "invoice.created",
        "invoice.updated",
        "invoice.finalized",
        "payment_intent.created",
        "payment_intent.succeeded",
    ]


def test_a_deleted_customer_takes_along_what_hangs_under_it(account: Account) -> None:
    customer = next(
        each
        for each in account.ids("customers")
        if any(s["customer"] == each and s["status"] != "canceled" for s in _all(account, "subscriptions"))
        and any(m["customer"] == each for m in _all(account, "payment_methods"))
    )
    account.delete("customers", customer)
    assert customer not in set(account.ids("customers"))
    with pytest.raises(NoSuchObject):
        account.get("customers", customer)
    for name in ("payment_methods", "tax_ids", "payment_sources"):
        assert all(each["customer"] != customer for each in _all(account, name))
    mine = [each for each in _all(account, "subscriptions") if each["customer"] == customer]
    assert {each["status"] for each in mine} == {"canceled"}
    types = [event["type"] for event in told(account)]
    assert types[-1] == "customer.deleted"
    assert "customer.subscription.deleted" in types
    assert account.count("payment_methods") == len(_all(account, "payment_methods"))


def _all(account: Account, name: str) -> list[dict[str, Any]]:
    return [orjson.loads(raw) for raw in account.objects(name)]


def test_only_drafts_of_invoices_can_be_deleted(account: Account) -> None:
    draft = account.create("invoices", {"status": "draft"})["id"]
    paid = account.create("invoices", {"status": "paid"})["id"]
    account.delete("invoices", draft)
    with pytest.raises(NotAllowed, match="draft"):
        account.delete("invoices", paid)
    assert told(account)[-1]["type"] == "invoice.deleted"


def test_a_child_is_told_by_its_parent(account: Account) -> None:
    subscription = account.create("subscriptions", {"status": "active"}, children=2)
    item = subscription["items"]["data"][0]["id"]
    account.update("subscription_items", item, {"quantity": 7})
    account.delete("subscription_items", item)
    shown = account.get("subscriptions", subscription["id"])
    assert len(shown["items"]["data"]) == 1
    last = told(account)[-1]
    assert last["type"] == "customer.subscription.updated"
    assert len(last["data"]["previous_attributes"]["items"]["data"]) == 2
    assert last["data"]["object"] == shown


def test_what_is_silent_or_held_back_is_not_listed(account: Account) -> None:
    account.create("customers", silent=True)
    assert told(account) == []
    account.create("products", event_delay_s=3600)
    assert told(account) == []
    assert len(account.events) == 1


COMPLETELY_TOLD = [name for name, resource in RESOURCES.items() if resource.events.updated and resource.events.created]


@given(st.integers(0, 10_000), st.integers(1, 120))
def test_the_last_event_of_an_object_shows_it_as_it_is(seed: int, turns: int) -> None:
    account = StripeServer(400, seed=seed, until=UNTIL).account
    mutator = Mutator(account, seed)
    for _ in range(turns):
        mutator.change()
    latest = {event["data"]["object"]["id"]: event for event in told(account)}
    for name in COMPLETELY_TOLD:
        changed = [each for each in account.ids(name) if each in latest]
        for each in changed:
            assert latest[each]["data"]["object"] == account.get(name, each), latest[each]["type"]


def test_objects_and_events_stay_valid_whatever_the_mutator_does() -> None:
    validators = {name: jsonschema.Draft202012Validator(schema_of(name)) for name in ("event", "customer", "invoice")}
    account = StripeServer(400, until=UNTIL).account
    mutator = Mutator(account, 5)
    for _ in range(300):
        mutator.change()
    for event in told(account):
        validators["event"].validate(event)
        shown = event["data"]["object"]
        if shown["object"] in validators:
            validators[shown["object"]].validate(shown)


def test_the_same_seed_makes_the_same_changes() -> None:
    def history(seed: int) -> list[tuple[str, str]]:
        account = StripeServer(500, seed=3, until=UNTIL).account
        mutator = Mutator(account, seed)
        for _ in range(80):
            mutator.change()
        return [(event["type"], event["data"]["object"]["id"]) for event in told(account)]

    assert history(1) == history(1)
    assert history(1) != history(2)


def test_a_copy_that_differs_is_told_from_one_that_does_not(account: Account) -> None:
    rows = [(each["id"], orjson.dumps(each)) for each in _all(account, "customers")]
    assert not difference(account, "customers", rows)
    shuffled = [(key, orjson.dumps(dict(reversed(orjson.loads(raw).items())))) for key, raw in rows]
    assert not difference(account, "customers", shuffled)
    changed = [(key, orjson.dumps({**orjson.loads(raw), "balance": 123456})) for key, raw in rows[:1]]
    found = difference(account, "customers", [*changed, *rows[2:], ("cus_none", b"{}")])
    assert (found.missing, found.phantom, found.different) == (1, 1, 1)
    assert found.examples == {"different": [rows[0][0]], "missing": [rows[1][0]], "phantom": ["cus_none"]}


def test_a_whole_object_has_all_its_children() -> None:
    account = StripeServer(
        {"invoices": 1, "customers": 1}, children={"invoice_lines": (25,)}, until=UNTIL
    ).account  # fmt: skip
    (shown,) = (orjson.loads(raw) for raw in account.objects("invoices"))
    assert len(shown["lines"]["data"]) == 25
    assert shown["lines"]["has_more"] is False
    assert [each["id"] for each in shown["lines"]["data"]] == list(account.ids("invoice_lines"))


async def test_events_are_paged_filtered_and_retrieved_like_any_list() -> None:
    async with StripeServer(3_000, span_days=20) as server, asking(server.base_url) as ask:
        mutator = Mutator(server.account, 1)
        for _ in range(150):
            mutator.change()
        every = await ask.walk("/v1/events", {"limit": 100})
        assert [each["id"] for each in every] == [each["id"] for each in await ask.walk("/v1/events", {"limit": 33})]
        assert [each["created"] for each in every] == sorted((each["created"] for each in every), reverse=True)
        types = ["customer.created", "charge.updated"]
        some = await ask.walk("/v1/events?" + "&".join(f"types[]={each}" for each in types), {"limit": 50})
        assert some == [each for each in every if each["type"] in types]
        assert some
        middle = every[len(every) // 2]["created"]
        late = await ask.walk("/v1/events", {"created[gte]": middle, "limit": 100})
        assert late == [each for each in every if each["created"] >= middle]
        back = await ask("/v1/events", {"ending_before": every[60]["id"], "limit": 50})
        assert back.json["data"] == every[10:60]
        for each in (every[0], every[-1]):
            assert (await ask(f"/v1/events/{each['id']}")).json == each
        many = "&".join(f"types[]=a.{number}" for number in range(21))
        assert (await ask(f"/v1/events?{many}")).status == 400


async def test_events_age_out_after_thirty_days() -> None:
    async with StripeServer({"products": 400}, span_days=400) as server, asking(server.base_url) as ask:
        events = await ask.walk("/v1/events", {"limit": 100})
        assert 25 <= len(events) <= 31
        oldest = server.account.events.find(events[-1]["id"])
        assert oldest is not None
        server.account.create("products")
        server.faults.add("short_horizon", horizon_s=60)
        assert len(await ask.walk("/v1/events")) == 1
        refused = await ask("/v1/events", {"starting_after": events[-1]["id"]})
        assert refused.status == 400
        assert "aged out of our retention policy" in refused.error["message"]
