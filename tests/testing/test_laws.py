"""The laws of connectors: Stripe's keeps them, in a calm world and in a hostile one, and a broken one does not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from time import time
from typing import Any

import pytest

from headrace.http import Request, Response
from headrace.providers.kit import (
    Canon,
    Collection,
    Context,
    Cursor,
    Delete,
    Listing,
    Page,
    Provider,
    Record,
    Steps,
    Window,
)
from headrace.providers.stripe import STRIPE
from headrace.testing import laws
from headrace.testing.driver import Driver
from headrace.testing.reader import Broken, Reader
from headrace.testing.requestlog import Entry, RequestLog
from headrace.testing.stripe import Fault, StripeServer
from headrace.testing.stripe.truth import COLLECTIONS, Truth

EVERY = tuple(collection.id for collection in STRIPE.collections)
SOME = ("stripe:customer", "stripe:invoice", "stripe:invoice_line_item", "stripe:subscription", "stripe:price")


@asynccontextmanager
async def world(
    provider: Provider = STRIPE, records: int = 900, **options: Any
) -> AsyncIterator[tuple[StripeServer, Driver, Truth]]:
    async with StripeServer(records, span_days=20, **options) as server:
        properties = {"secret": "sk_test_51HeadraceTests", "base_url": server.base_url}
        async with Driver(provider, "stripe_key", properties) as driver:
            yield server, driver, Truth(server.account)


def test_every_collection_of_the_connector_has_its_truth() -> None:
    assert set(EVERY) - {"stripe:event"} == set(COLLECTIONS)


@pytest.mark.parametrize("collection", EVERY)
async def test_each_collection_is_complete_without_phantoms(collection: str) -> None:
    async with world() as (_, driver, truth):
        copy = await laws.complete(driver, truth, [collection])
        assert len(copy.alive(collection)) == len(list(truth(collection)))


SIGNED = {
    "stripe:charge": ("/v1/charges", ("receipt_url",)),
    "stripe:checkout_session": ("/v1/checkout/sessions", ("url",)),
    "stripe:credit_note": ("/v1/credit_notes", ("pdf",)),
    "stripe:file": ("/v1/files", ("url",)),
    "stripe:invoice": ("/v1/invoices", ("hosted_invoice_url", "invoice_pdf")),
}
"""Where each list of records with signed links is, and the links: they are others at every reading."""

ROTATING = [Fault("rotating_links", path) for path, _ in SIGNED.values()]


async def test_all_readings_are_quiet() -> None:
    async with world(records=600, faults=ROTATING) as (_, driver, truth):
        await laws.quiet(driver, truth, EVERY, driver.now() - timedelta(days=29))


async def test_reading_resumes_at_every_page() -> None:
    async with world(records=2_000) as (_, driver, truth):
        await laws.resumable(driver, truth, EVERY)


@pytest.mark.parametrize("seed", range(3))
async def test_a_copy_converges_while_the_account_changes(seed: int) -> None:
    async with world(seed=seed) as (server, driver, truth):

        def disturb() -> None:
            for _ in range(6):
                server.mutator.change()

        await laws.converges(driver, truth, EVERY, disturb)
        assert server.account.changes > 50


async def test_the_order_of_the_feeds_pages_does_not_matter() -> None:
    async with world() as (server, driver, truth):
        await laws.in_order(driver, truth, EVERY, lambda: [server.mutator.change() for _ in range(300)] and None)


async def test_a_sweep_deletes_nothing_that_is_there() -> None:
    async with world() as (server, driver, truth):
        await laws.no_phantom_delete(driver, truth, EVERY, server.mutator.change)


HOSTILE = {
    "storms of 429": [Fault("rate_limited", probability=0.2)],
    "errors in mid-page": [Fault("server_error", probability=0.2)],
    "resets": [Fault("reset", probability=0.1), Fault("reset", probability=0.1, options={"at": 500})],
    "broken bodies": [Fault("truncated_json", probability=0.1), Fault("invalid_json", probability=0.1)],
    "html": [Fault("html", probability=0.2)],
    "duplicates": [Fault("duplicates", probability=0.7)],
    "moving rows": [
        Fault("insert_while_paging", probability=0.2),
        Fault("update_while_paging", probability=0.2),
        Fault("delete_while_paging", probability=0.1),
    ],
    "odd records": [
        Fault("new_field", probability=0.3),
        Fault("wide", probability=0.02),
        Fault("deep", probability=0.1, options={"depth": 200}),
        Fault("odd_id", "/v1/coupons"),
        Fault("odd_id", "/v1/customers", probability=0.5),
        Fault("no_created", probability=0.1),
    ],
    "ties": [Fault("ties", options={"second": 86400})],
    "late and doubled events": [
        Fault("late_events", probability=0.3, options={"delay_s": 0.3}),
        Fault("duplicate_events", probability=0.2),
        Fault("unordered_events"),
    ],
    "old events": [Fault("event_version")],
    "a clock off by minutes": [Fault("clock", options={"offset_s": 420})],
    "signed links": [Fault("rotating_links", "/v1/invoices*"), Fault("rotating_links", "/v1/charges")],
}


@pytest.mark.parametrize("faults", HOSTILE.values(), ids=HOSTILE)
async def test_a_copy_converges_in_a_hostile_world(faults: list[Fault]) -> None:
    async with world(records=500, faults=faults) as (server, driver, truth):

        def disturb() -> None:
            for _ in range(2):
                server.mutator.change()

        async def rest() -> None:
            for kind in ("insert", "update", "delete"):
                server.faults.clear(f"{kind}_while_paging")
            await asyncio.sleep(0.4)

        await laws.converges(driver, truth, EVERY, disturb, rest=rest)


async def test_a_permission_that_shows_as_empty_deletes_nothing() -> None:
    async with world() as (server, driver, truth):
        reader = Reader(driver, SOME)
        await reader.backfill()
        server.faults.add("hidden", path="/v1/customers")
        assert await reader.sweep(["stripe:customer"]) == []
        server.faults.clear()
        assert not reader.copy.difference(truth, SOME)


async def test_a_list_that_never_ends_is_told() -> None:
    async with world(records=3_000) as (server, driver, truth):
        server.faults.add("endless_page", path="/v1/charges")
        with pytest.raises(Broken, match="circles"):
            await laws.complete(driver, truth, ["stripe:charge"])


# Connectors that break a law, each in one way: the law must say so.

Breakage = Callable[[Page, Context, Cursor | None], Page]


def broken(breakage: Breakage, collection_id: str = "stripe:customer") -> Provider:
    """Stripe's connector with this done to each page of one listing."""

    def wrap(collection: Collection) -> Collection:
        if collection.id != collection_id or collection.listing is None:
            return collection
        plain = collection.listing.page

        def page(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
            made = yield from plain(ctx, window, cursor)
            return breakage(made, ctx, cursor)

        return replace(collection, listing=replace(collection.listing, page=page))

    return replace(STRIPE, collections=tuple(wrap(each) for each in STRIPE.collections), _by_id={})


def _loses(page: Page, ctx: Context, cursor: Cursor | None) -> Page:
    return replace(page, items=page.items[:-1])


def _invents(page: Page, ctx: Context, cursor: Cursor | None) -> Page:
    return replace(page, items=[*page.items, Record("stripe:customer", "cus_none", b"{}", ctx.now)])


def _alters(page: Page, ctx: Context, cursor: Cursor | None) -> Page:
    items = [replace(i, raw=i.raw.replace(b'"customer"', b'"client"')) for i in page.items if isinstance(i, Record)]
    return replace(page, items=items)


def _stops_early(page: Page, ctx: Context, cursor: Cursor | None) -> Page:
    return replace(page, next=None)


def _goes_round(page: Page, ctx: Context, cursor: Cursor | None) -> Page:
    return replace(page, next={"round": 1 if cursor is None else 2 - cursor.get("round", 0) % 2})


@pytest.mark.parametrize(
    ("breakage", "said"),
    [(_loses, "missing"), (_invents, "phantom"), (_alters, "different"), (_stops_early, "missing")],
)
async def test_complete_tells_a_connector_that_loses_invents_or_alters(breakage: Breakage, said: str) -> None:
    async with world(broken(breakage), records=2_000) as (_, driver, truth):
        with pytest.raises(Broken, match=said):
            await laws.complete(driver, truth, ["stripe:customer"])


async def test_resumable_tells_a_page_that_depends_on_more_than_its_cursor() -> None:
    turns = iter(range(10**6))

    def forgets(page: Page, ctx: Context, cursor: Cursor | None) -> Page:
        return replace(page, items=page.items[next(turns) % 2 :])

    async with world(broken(forgets), records=2_000) as (_, driver, truth):
        with pytest.raises(Broken, match="another"):
            await laws.resumable(driver, truth, ["stripe:customer"])


async def test_quiet_tells_a_listing_of_another_shape_than_the_fetch() -> None:
    def trims(page: Page, ctx: Context, cursor: Cursor | None) -> Page:
        items = [replace(i, raw=i.raw[:-1] + b',"extra":1}') for i in page.items if isinstance(i, Record)]
        return replace(page, items=items)

    provider = broken(trims)
    async with world(provider) as (_, driver, truth):

        def trimmed(collection: str) -> Any:
            return ((key, raw[:-1] + b',"extra":1}') for key, raw in truth(collection))

        with pytest.raises(Broken, match=r"differs through .*\['extra'\]"):
            await laws.quiet(driver, trimmed, ["stripe:customer"], driver.now() - timedelta(days=29))


@pytest.mark.parametrize(
    ("collection_id", "link"), [(collection_id, link) for collection_id, (_, links) in SIGNED.items() for link in links]
)
async def test_quiet_tells_a_signed_link_that_counts(collection_id: str, link: str) -> None:
    def counting(collection: Collection) -> Collection:
        if collection.id != collection_id:
            return collection
        others = tuple(path for path in collection.canon.volatile if path != link)
        return replace(collection, canon=Canon(volatile=others))

    provider = replace(STRIPE, collections=tuple(map(counting, STRIPE.collections)), _by_id={})
    async with world(provider, records=600, faults=ROTATING) as (_, driver, truth):
        with pytest.raises(Broken, match=rf"different.*{collection_id}"):
            await laws.quiet(driver, truth, [collection_id], driver.now() - timedelta(days=29))


async def test_converges_tells_a_feed_that_keeps_deletes_to_itself() -> None:
    def silent(ctx: Context, window: Window, cursor: Cursor | None) -> Generator[Request, Response, Page]:
        page = yield from STRIPE.feeds[0].page(ctx, window, cursor)
        return replace(page, items=[item for item in page.items if not isinstance(item, Delete)])

    provider = replace(STRIPE, feeds=(replace(STRIPE.feeds[0], page=silent),), _by_id={})
    async with world(provider) as (server, driver, truth):

        async def rest() -> None:
            for victim in list(server.account.ids("coupons")):
                server.account.delete("coupons", victim)

        with pytest.raises(Broken, match=r"phantom.*stripe:coupon"):
            await laws.converges(driver, truth, ["stripe:coupon"], lambda: None, rest=rest)


async def test_no_phantom_delete_tells_a_fetch_that_takes_any_trouble_for_gone() -> None:
    collection = STRIPE.collection("stripe:charge")
    assert collection is not None
    assert collection.listing is not None
    turns = iter(range(10**6))
    plain = collection.listing.page

    def hides(ctx: Context, window: Window, cursor: Cursor | None) -> Steps:
        page = yield from plain(ctx, window, cursor)
        return replace(page, items=page.items if next(turns) < 3 else [])

    hiding = replace(collection, listing=Listing(hides, order="newest_first"), fetch=None)
    others = tuple(each for each in STRIPE.collections if each.id != hiding.id)
    provider = replace(STRIPE, collections=(*others, hiding), _by_id={})
    async with world(provider) as (_, driver, truth):
        with pytest.raises(Broken, match="took away"):
            await laws.no_phantom_delete(driver, truth, ["stripe:charge"])


def test_polite_counts_windows_and_refusals() -> None:
    began = time()

    def log(moments: list[float], statuses: list[int], late_s: float = 0.0) -> RequestLog:
        made = RequestLog()
        for moment, status in zip(moments, statuses, strict=True):
            made.add(Entry(began + moment, "GET", "/", "", status, "", refused=status == 429, late_s=late_s))
        return made

    spaced = [turn * 0.05 for turn in range(200)]
    laws.polite(log(spaced, [200] * 200), 20, 1.0)
    with pytest.raises(Broken, match=r"15 requests within 0\.75 s; 14 are allowed"):
        laws.polite(log(spaced, [200] * 200), 14, 1.0)
    with pytest.raises(Broken, match="3 of 200 requests were refused"):
        laws.polite(log(spaced, [429] * 3 + [200] * 197), 20, 1.0)
    with pytest.raises(Broken, match="21 requests within"):
        laws.polite(log([0.0] * 21, [200] * 21), 20, 1.0)
    laws.polite(log([0.0] * 21, [200] * 21, late_s=1.0), 20, 1.0)  # they may have come one by one
