"""Every fault happens as told: what kind, on which requests, how often, the same for the same seed."""

import asyncio
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
import pytest
from asking import asking
from hypothesis import given
from hypothesis import strategies as st

from headrace.testing.faults import Fault, Faults
from headrace.testing.stripe import StripeServer


def test_a_fault_is_written_on_a_line() -> None:
    fault = Fault.parse("slow:path=/v1/charges*,probability=0.5,times=3,delay_s=2")
    assert fault == Fault("slow", "/v1/charges*", probability=0.5, times=3, options={"delay_s": 2})
    assert Fault.of(**fault.describe()) == fault
    assert Fault.parse("html") == Fault("html")
    with pytest.raises(ValueError, match="name=value"):
        Fault.parse("slow:delay_s")


def test_an_unknown_kind_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"no fault 'meteor' here; there are .*html"):
        Faults(["html"]).add("meteor")


@given(st.integers(0, 20), st.one_of(st.none(), st.integers(0, 20)), st.integers(0, 60))
def test_a_fault_skips_and_ends_as_told(skip: int, times: int | None, asked: int) -> None:
    faults = Faults(["html"], standing=[Fault("html", path="/a*", skip=skip, times=times)])
    struck = [faults.strikes("html", "/ab") is not None for _ in range(asked)]
    assert all(faults.strikes("html", "/b") is None for _ in range(5))
    most = asked if times is None else times
    assert struck == [skip <= turn < skip + most for turn in range(asked)]


@given(st.integers(0, 1000), st.floats(0.05, 0.95))
def test_chance_is_the_seeds(seed: int, probability: float) -> None:
    def throws() -> list[bool]:
        faults = Faults(["html"], seed, [Fault("html", probability=probability)])
        return [faults.strikes("html", "/") is not None for _ in range(200)]

    assert throws() == throws()
    assert 0 < sum(throws()) < 200 or probability < 0.06 or probability > 0.94


def test_a_fault_stands_inside_its_block_alone() -> None:
    faults = Faults(["html", "slow"])
    seen = []
    faults.changed = lambda: seen.append(len(list(faults)))
    with faults.during("html"):
        assert faults.strikes("html", "/")
    assert not faults.strikes("html", "/")
    faults.add("slow")
    faults.add("html")
    faults.clear("html")
    assert [fault.kind for fault in faults] == ["slow"]
    assert seen == [1, 0, 1, 2, 1]


REFUSALS: dict[str, tuple[int, dict[str, Any]]] = {
    "rate_limited": (429, {"type": "invalid_request_error", "code": "rate_limit"}),
    "server_error": (500, {"type": "api_error"}),
    "unauthorized": (401, {"type": "invalid_request_error", "code": "api_key_expired"}),
    "forbidden": (403, {"type": "invalid_request_error"}),
    "not_enabled": (400, {"type": "invalid_request_error"}),
}


@pytest.mark.parametrize("kind", REFUSALS)
async def test_refusals_are_in_stripes_words(kind: str) -> None:
    async with StripeServer({"customers": 3}) as server, asking(server.base_url) as ask:
        server.faults.add(kind, times=1)
        refused = await ask("/v1/customers")
        status, error = REFUSALS[kind]
        assert refused.status == status
        assert error.items() <= refused.error.items()
        assert refused.error["message"]
        assert refused.headers["request-id"].startswith("req_")
        assert (await ask("/v1/customers")).status == 200
    if kind == "rate_limited":
        assert refused.headers["stripe-rate-limited-reason"] == "global-rate"
        assert "retry-after" not in refused.headers


async def test_answers_that_are_broken() -> None:
    async with StripeServer({"customers": 50}) as server, asking(server.base_url) as ask:
        server.faults.add("html", times=1)
        page = await ask("/v1/customers")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        server.faults.add("invalid_json", times=1)
        page = await ask("/v1/customers")
        with pytest.raises(orjson.JSONDecodeError):
            _ = page.json
        for kind, options in (("truncated_json", {}), ("reset", {"at": 100})):
            server.faults.add(kind, times=1, **options)
            with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
                await ask("/v1/customers")
        # aiohttp sends a GET a second time by itself when it was reset before an answer began.
        server.faults.add("reset", times=2)
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await ask("/v1/customers")
        server.faults.add("redirect", times=1, location="http://elsewhere.invalid")
        page = await ask("/v1/customers")
        assert (page.status, page.headers["location"]) == (302, "http://elsewhere.invalid/v1/customers")
        assert [entry.fault for entry in server.log] == [
            "html",
            "invalid_json",
            "truncated_json",
            "reset",
            "reset",
            "reset",
            "redirect",
        ]


async def test_answers_that_come_late_or_never() -> None:
    async with StripeServer({"customers": 3}) as server, asking(server.base_url) as ask:
        server.faults.add("slow", times=1, delay_s=0.2)
        began = monotonic()
        assert (await ask("/v1/customers")).status == 200
        assert monotonic() - began >= 0.2
        server.faults.add("hang", times=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await ask("/v1/customers")


async def test_a_write_whose_answer_was_lost_has_taken_place() -> None:
    async with StripeServer({"customers": 3}) as server, asking(server.base_url) as ask:
        server.faults.add("reset", method="POST", times=1)
        with pytest.raises(aiohttp.ClientError):
            await ask("/v1/customers", method="POST", form={"name": "Ada"}, headers={"Idempotency-Key": "k1"})
        assert server.account.count("customers") == 4
        again = await ask("/v1/customers", method="POST", form={"name": "Ada"}, headers={"Idempotency-Key": "k1"})
        assert again.headers["idempotent-replayed"] == "true"
        assert again.json["name"] == "Ada"
        assert server.account.count("customers") == 4
        other = await ask("/v1/customers", method="POST", form={"name": "Bob"}, headers={"Idempotency-Key": "k1"})
        assert (other.status, other.error["type"]) == (400, "idempotency_error")


async def test_pages_that_mislead() -> None:
    async with StripeServer({"customers": 25}) as server, asking(server.base_url) as ask:
        first = await ask("/v1/customers")
        after = {"starting_after": first.ids[-1]}
        second = (await ask("/v1/customers", after)).ids
        with server.faults.during("empty_page"):
            assert (await ask("/v1/customers", after)).json | {"url": ""} == {
                "object": "list",
                "data": [],
                "has_more": True,
                "url": "",
            }
        with server.faults.during("endless_page"):
            again = await ask("/v1/customers", after)
            assert (again.ids, again.json["has_more"]) == (first.ids, True)
        with server.faults.during("duplicates", rows=3):
            again = await ask("/v1/customers", after)
            assert again.ids == first.ids[-3:] + second[:7]
            rows = await ask.walk("/v1/customers")
            assert {row["id"] for row in rows} == set(server.account.ids("customers"))
            assert len(rows) > 25
        with server.faults.during("hidden"):
            assert (await ask("/v1/customers")).json["data"] == []
        with server.faults.during("expired_cursor"):
            assert (await ask("/v1/customers", after)).error["code"] == "resource_missing"
        with server.faults.during("foreign_url"):
            assert (await ask("/v1/customers")).json["url"].startswith("https://attacker.invalid")
        assert (await ask("/v1/customers", after)).ids == second


async def test_a_cursor_in_a_window_may_lose_the_rest_of_its_second() -> None:
    ties = Fault("ties", options={"second": 10**7})
    async with StripeServer({"customers": 30}, faults=[ties]) as server, asking(server.base_url) as ask:
        every = await ask.walk("/v1/customers", {"created[gte]": 0, "limit": 100})
        seconds = {each["created"] for each in every}
        assert len(seconds) < len(every) == 30
        assert await ask.walk("/v1/customers", {"created[gte]": 0, "limit": 1}) == every
        with server.faults.during("lost_ties"):
            fewer = await ask.walk("/v1/customers", {"created[gte]": 0, "limit": 1})
            assert len(fewer) == len(seconds)


@pytest.mark.parametrize("how", ["insert", "update", "delete"])
async def test_collections_change_while_they_are_paged(how: str) -> None:
    async with StripeServer({"products": 30}) as server, asking(server.base_url) as ask:
        first = await ask("/v1/products")
        server.faults.add(f"{how}_while_paging", times=1)
        page = await ask("/v1/products", {"starting_after": first.ids[-1]})
        assert server.account.changes == 1
        if how == "delete":
            assert page.error["code"] == "resource_missing"
            assert first.ids[-1] not in set(server.account.ids("products"))
        else:
            assert page.ids
        (event,) = server.account.events.below((1 << 62, 1, 0, 0), server.account.population.until + 1, frozenset())
        assert event.type == {"insert": "product.created", "update": "product.updated"}.get(how, "product.deleted")


async def test_records_that_trip_a_careless_reader_are_the_same_in_every_reading() -> None:
    faults = [
        Fault("new_field", "/v1/customers", probability=0.5),
        Fault("wide", "/v1/customers", probability=0.2, options={"fields": 50}),
        Fault("deep", "/v1/customers", probability=0.2, options={"depth": 300}),
        Fault("huge", "/v1/products", probability=0.2, options={"bytes": 100_000}),
        Fault("no_created", "/v1/charges", probability=0.5),
        Fault("odd_id", "/v1/coupons"),
    ]
    async with (
        StripeServer({"customers": 60, "products": 20, "charges": 20, "coupons": 15}, faults=faults) as server,
        asking(server.base_url) as ask,
    ):
        customers = await ask.walk("/v1/customers")
        assert {"x_new_field", "x_field_49", "x_deep"} <= {name for each in customers for name in each}
        assert 15 <= sum("x_new_field" in each for each in customers) <= 45
        sizes = [len(orjson.dumps(each)) for each in await ask.walk("/v1/products")]
        assert max(sizes) == pytest.approx(100_000, abs=10)
        assert min(sizes) < 2_000
        charges = await ask.walk("/v1/charges")
        assert {"created" in each for each in charges} == {True, False}
        coupons = await ask.walk("/v1/coupons")
        assert len(coupons) == 15
        for each in (*customers[:5], *charges[:5], *coupons[:5]):
            path = {"customer": "customers", "charge": "charges", "coupon": "coupons"}[each["object"]]
            assert (await ask(f"/v1/{path}/{quote(each['id'], safe='')}")).json == each


async def test_a_record_may_have_sixteen_megabytes() -> None:
    async with StripeServer({"customers": 1}) as server, asking(server.base_url) as ask:
        server.faults.add("huge")
        page = await ask("/v1/customers")
        assert len(page.body) == pytest.approx(16_000_000, abs=200)


async def test_events_come_late_twice_and_in_any_order() -> None:
    async with StripeServer({"customers": 3}, span_days=100) as server, asking(server.base_url) as ask:
        shown = len(await ask.walk("/v1/events"))
        server.faults.add("late_events", times=1, path="customer.created", delay_s=3600)
        late = server.account.create("customers")["id"]
        early = server.account.create("customers")["id"]
        assert await _subjects(ask, shown) == [early]
        server.faults.add("clock", offset_s=3601)
        assert set(await _subjects(ask, shown)) == {early, late}
        server.faults.add("duplicate_events", times=1)
        twice = server.account.create("customers")["id"]
        assert (await _subjects(ask, shown)).count(twice) == 2
        server.faults.add("unordered_events")
        made = [server.account.create("customers")["id"] for _ in range(40)]
        told = [each for each in await _subjects(ask, shown) if each in made]
        assert sorted(told) == sorted(made)
        assert told != made[::-1]


async def _subjects(ask: Any, old: int) -> list[str]:
    events = await ask.walk("/v1/events", {"limit": 100})
    return [each["data"]["object"]["id"] for each in events[: len(events) - old or None]]


async def test_events_may_be_rendered_in_an_older_version() -> None:
    async with StripeServer({"customers": 1}) as server, asking(server.base_url) as ask:
        server.faults.add("event_version", version="2022-11-15", drop="customer_account+tax_exempt")
        made = server.account.create("customers")
        event = (await ask("/v1/events", {"limit": 1})).json["data"][0]
        assert event["api_version"] == "2022-11-15"
        assert made.keys() - event["data"]["object"].keys() == {"customer_account", "tax_exempt"}


async def test_new_objects_may_be_listed_late() -> None:
    async with StripeServer({"customers": 2}) as server, asking(server.base_url) as ask:
        server.faults.add("late_objects", delay_s=3600)
        made = server.account.create("customers")["id"]
        assert made not in (await ask("/v1/customers")).ids
        assert (await ask(f"/v1/customers/{made}")).status == 200
        server.faults.add("clock", offset_s=3601)
        assert made in (await ask("/v1/customers")).ids


async def test_the_clock_may_be_off_by_minutes() -> None:
    async with StripeServer({"customers": 1}) as server, asking(server.base_url) as ask:
        server.faults.add("clock", offset_s=600)
        made = server.account.create("customers")
        date = parsedate_to_datetime((await ask("/v1/customers")).headers["date"])
        assert -2 <= date.timestamp() - made["created"] < 300, "both by the same clock"
        server.faults.clear()
        date = parsedate_to_datetime((await ask("/v1/customers")).headers["date"])
        assert made["created"] - date.timestamp() > 300


async def test_links_may_be_signed_anew_at_every_reading() -> None:
    async with StripeServer({"invoices": 5, "customers": 1}) as server, asking(server.base_url) as ask:
        server.faults.add("rotating_links")
        one, other = [(await ask("/v1/invoices")).json["data"] for _ in range(2)]
        changed = {name for a, b in zip(one, other, strict=True) for name in a if a[name] != b[name]}
        assert changed == {"hosted_invoice_url", "invoice_pdf"}
