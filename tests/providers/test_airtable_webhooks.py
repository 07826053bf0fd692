"""The log of a base: how its webhook is had, what payloads lead to, what happens when they are lost; and pings."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from airtable_world import place, world

from headrace.http import Request, Response
from headrace.providers.airtable import AIRTABLE
from headrace.providers.airtable.tables import Table
from headrace.providers.airtable.webhooks import Log
from headrace.providers.kit import (
    EVERYTHING,
    ChildSet,
    Context,
    Cursor,
    Delete,
    Delivery,
    Faulted,
    NotGenuine,
    Page,
    Record,
)
from headrace.providers.kit.checks import drive
from headrace.testing.airtable.server import AirtableServer
from headrace.testing.airtable.webhooks import WEEK_S, Webhook, made_secret
from headrace.testing.driver import Driver
from headrace.testing.reader import Reader

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CTX = Context({}, NOW, frozenset({"airtable:t"}))
LOG = Log("app1", {"tbl1": Table("airtable:t", "app1", "tbl1")})
PAYLOADS = "/v0/bases/app1/webhooks/ach1/payloads"
TOKEN: Cursor = {"webhook": "ach1", "cursor": 5, "checked": NOW.isoformat()}
OURS = {"options": {"filters": {"dataTypes": ["tableData"]}}}


def answer(body: Any, status: int = 200) -> Response:
    return Response(status, orjson.dumps(body), NOW, {})


def webhook(**fields: Any) -> dict[str, Any]:
    expires = (NOW + timedelta(days=7)).isoformat()
    alive = {"isHookEnabled": True, "expirationTime": expires, "cursorForNextPayload": 5}
    return {"id": "ach1", **alive, "specification": OURS} | fields


def changed(*keys: str, **told: Any) -> dict[str, Any]:
    happened = {"changedRecordsById": {key: {} for key in keys}} | told
    return {"timestamp": "2026-11-23T11:59:00.000Z", "changedTablesById": {"tbl1": happened}}


def watching(**filters: Any) -> dict[str, Any]:
    return {"options": {"filters": filters}}


def respond(
    payloads: list[dict[str, Any]], cursor: int | None = None, webhooks: list[dict[str, Any]] | None = None
) -> Callable[[Request], Response]:
    """Answers payloads, the webhooks of the base, and records by the ids that are asked for."""

    def of(request: Request) -> Response:
        if request.url == PAYLOADS:
            assert dict(request.query)["cursor"] == "5"
            told = 5 + len(payloads) if cursor is None else cursor
            return answer({"payloads": payloads, "cursor": told, "mightHaveMore": False})
        if request.url.endswith("/webhooks"):
            return answer({"webhooks": [webhook()] if webhooks is None else webhooks})
        formula = dict(request.query)["filterByFormula"]
        keys = [each.split("'")[1] for each in formula.split("RECORD_ID()=")[1:]]
        return answer({"records": [{"id": key, "createdTime": "2026-01-01T00:00:00Z", "fields": {}} for key in keys]})

    return of


def read(token: Cursor, answers: Any, ctx: Context = CTX) -> tuple[Page, list[Request]]:
    return drive(LOG.page(ctx, EVERYTHING, token), answers)


def test_the_fate_that_is_told_last_counts() -> None:
    payloads = [
        changed("rec1", "rec2", createdRecordsById={"rec3": {}}),
        changed(destroyedRecordIds=["rec1", "rec4"]),
        changed(createdRecordsById={"rec4": {}}),
    ]
    page, asked = read(TOKEN, respond(payloads))
    assert sorted((type(item).__name__, item.id) for item in page.items if isinstance(item, Delete | Record)) == [
        ("Delete", "rec1"), ("Record", "rec2"), ("Record", "rec3"), ("Record", "rec4"),
    ]  # fmt: skip
    assert (page.next, page.more) == ({**TOKEN, "cursor": 8}, False)
    assert len(asked) == 2


def test_a_page_reads_about_a_thousand_records_and_goes_on_from_there() -> None:
    payloads = [changed(*(f"rec{n}x{m}" for m in range(400))) for n in range(4)]
    page, asked = read(TOKEN, respond(payloads))
    assert (len(page.items), page.next, page.more) == (800, {**TOKEN, "cursor": 7}, True)
    assert len(asked) == 1 + 8


def test_a_table_that_nobody_wants_is_not_read() -> None:
    strange = {"changedTablesById": {"tbl9": {"changedRecordsById": {"rec1": {}}}}, "somethingNew": [1]}
    page, asked = read(TOKEN, respond([strange]))
    assert (page.items, len(asked)) == ([], 1)


def test_whatever_is_optional_in_a_payload_may_be_null_or_not_there() -> None:
    optional = ("createdTablesById", "changedTablesById", "destroyedTableIds", "error", "code", "actionMetadata")
    of_table = ("createdRecordsById", "changedRecordsById", "destroyedRecordIds", "changedViewsById", "changedMetadata")
    payloads: list[dict[str, Any]] = [
        dict.fromkeys(optional),
        {},
        {"changedTablesById": {"tbl1": dict.fromkeys(of_table)}},
        {"changedTablesById": {"tbl1": None}, "createdTablesById": {"tbl1": None, "tbl2": {"recordsById": None}}},
        {"createdTablesById": {"tbl1": {"recordsById": {"rec1": None}}}, "somethingNew": {"a": None}},
        changed("rec2", destroyedRecordIds=["rec3"], createdRecordsById=None),
    ]

    def of(request: Request) -> Response:
        if request.url == PAYLOADS:
            return answer({"payloads": payloads, "cursor": 11, "mightHaveMore": None, "payloadFormat": None})
        return respond([])(request)

    page, _ = read(TOKEN, of)
    named = sorted((type(item).__name__, item.id) for item in page.items if isinstance(item, Delete | Record))
    assert named == [("Delete", "rec3"), ("Record", "rec1"), ("Record", "rec2")]
    assert (page.next, page.more) == ({**TOKEN, "cursor": 11}, False)


@pytest.mark.parametrize(
    ("tables", "ended"),
    [
        (answer({"tables": [{"id": "tbl2"}]}), True),
        (answer({"tables": [{"id": "tbl1"}]}), False),
        (answer({"error": {"type": "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"}}, 403), False),
    ],
    ids=["it is gone", "it was restored", "the base may not be read"],
)
def test_a_table_that_was_destroyed_takes_its_records_with_it(tables: Response, ended: bool) -> None:
    def of(request: Request) -> Response:
        return tables if request.url == "/v0/meta/bases/app1/tables" else respond(payloads)(request)

    payloads = [changed("rec1"), {"destroyedTableIds": ["tbl1", "tblOfNobody"]}]
    page, asked = read(TOKEN, of)
    if ended:
        assert page.items == [ChildSet("airtable:t", "app1/tbl1", frozenset(), NOW)]
        assert len(asked) == 2
    else:
        assert [item.id for item in page.items if isinstance(item, Record)] == ["rec1"]
    assert page.next == {**TOKEN, "cursor": 7}


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (respond([changed("rec1")], cursor=9), "expired"),
        (respond([{"error": True, "code": "INVALID_HOOK"}]), "expired"),
        (respond([{"error": True, "code": "INTERNAL_ERROR"}]), "transient"),
        (respond([{"changedTablesById": 7}]), "transient"),
    ],
    ids=["payloads are missing", "the webhook is broken", "Airtable is", "no such JSON"],
)
def test_a_log_with_gaps_is_begun_anew(answers: Any, kind: str) -> None:
    with pytest.raises(Faulted) as told:
        read(TOKEN, answers)
    assert told.value.fault.kind == kind


@pytest.mark.parametrize(
    ("webhooks", "kind"),
    [
        ([], "expired"),
        ([webhook(isHookEnabled=False)], "expired"),
        ([webhook(expirationTime=NOW.isoformat())], "expired"),
        (None, None),
    ],
    ids=["deleted", "disabled", "dead", "alive"],
)
def test_a_webhook_is_looked_at_every_hour(webhooks: list[dict[str, Any]] | None, kind: str | None) -> None:
    later = Context({}, NOW + timedelta(minutes=61), CTX.collections)
    if kind is None:
        page, asked = read(TOKEN, respond([], webhooks=webhooks), later)
        assert page.next == {**TOKEN, "checked": later.now.isoformat()}
        assert len(asked) == 2
        return
    with pytest.raises(Faulted) as told:
        read(TOKEN, respond([], webhooks=webhooks), later)
    assert told.value.fault.kind == kind


def test_a_webhook_with_little_left_to_live_is_refreshed() -> None:
    later = Context({}, NOW + timedelta(days=5), CTX.collections)
    _, asked = read(TOKEN, lambda request: answer({}) if request.method == "POST" else respond([])(request), later)
    assert [(each.method, each.url) for each in asked][1] == ("POST", "/v0/bases/app1/webhooks/ach1/refresh")


def test_a_webhook_that_is_gone_is_told_from_one_that_may_not_be_read() -> None:
    def refused(webhooks: Response) -> str:
        with pytest.raises(Faulted) as told:
            read(TOKEN, lambda request: answer({"error": "NOT_FOUND"}, 404) if request.url == PAYLOADS else webhooks)
        return told.value.fault.kind

    assert refused(answer({"webhooks": []})) == "expired"
    assert refused(answer({"error": {"type": "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"}}, 403)) == "permission"


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        (webhook(id="ach7", notificationUrl="https://x.example"), True),
        (webhook(id="ach7", specification=watching(dataTypes=["tableData", "tableFields"])), True),
        (webhook(id="ach7", specification=watching(dataTypes=["tableFields"])), False),
        (webhook(id="ach7", specification=watching(dataTypes=["tableData"], recordChangeScope="tbl1")), False),
        (webhook(id="ach7", isHookEnabled=False), False),
    ],
    ids=["with pings", "that tells more", "of fields only", "of one table", "disabled"],
)
def test_a_webhook_that_tells_everything_is_shared_else_one_is_made(other: dict[str, Any], shared: bool) -> None:
    def of(request: Request) -> Response:
        if request.method == "GET":
            return answer({"webhooks": [other]})
        assert orjson.loads(request.body or b"") == {"specification": OURS}
        assert not request.safe
        return answer({"id": "ach9", "macSecretBase64": "x", "expirationTime": None})

    page, _ = drive(LOG.start(CTX), of)
    made = {"webhook": "ach7", "cursor": 5} if shared else {"webhook": "ach9", "cursor": 1}
    assert page.next == {**made, "checked": NOW.isoformat()}


def test_a_webhook_that_is_refused_is_told_in_words_and_tried_again() -> None:
    def refusing(request: Request) -> Response:
        if request.method == "GET":
            return answer({"webhooks": []})
        return answer({"error": {"type": "INVALID_PERMISSIONS", "message": "not you"}}, 403)

    page, _ = drive(LOG.start(CTX), refusing)
    assert page.next == {"refused": "not you"}
    with pytest.raises(Faulted) as told:
        read(page.next or {}, refusing)
    assert told.value.fault.kind == "config"
    assert "app1 no webhook (not you)" in told.value.fault.message
    with pytest.raises(Faulted) as told:  # had by now: what happened before is in no log
        read(page.next or {}, respond([]))
    assert told.value.fault.kind == "expired"


# With the server.


async def followed(server: AirtableServer, driver: Driver, key: str) -> Reader:
    """A copy of the collection that has its place in the log."""
    reader = Reader(driver, [key])
    await reader.begin()
    await reader.backfill()
    return reader


async def test_many_changes_are_read_in_few_requests() -> None:
    async with world({"Orders": 900}) as (server, driver, truth, _):
        base, table, key = place(server)
        reader = await followed(server, driver, key)
        for row in [*table.rows]:
            server.world.update(base, table, row, {table.fields[0].id: "all of them"})
        before = len(driver.asked)
        await reader.read_changes(driver.now())
        assert not reader.copy.difference(truth, [key])
        assert len(driver.asked) - before == 900 // 50 + 900 // 50


async def test_the_records_of_a_table_that_is_destroyed_are_deleted() -> None:
    async with world({"Orders": 40}) as (server, driver, truth, _):
        base, table, key = place(server)
        reader = await followed(server, driver, key)
        assert len(reader.copy.held) == 40
        server.world.update(base, table, next(iter(table.rows)), {table.fields[0].id: "to no purpose"})
        server.world.drop(base, table)
        await reader.read_changes(driver.now())
        assert not reader.copy.difference(truth, [key])
        assert [*truth(key)] == []


@pytest.mark.parametrize("kind", ["payloads_purged", "webhook_disabled"])
async def test_payloads_that_were_lost_are_told_as_a_gap(kind: str) -> None:
    async with world(60) as (server, driver, _, _):
        base, table, key = place(server)
        reader = await followed(server, driver, key)
        server.world.update(base, table, next(iter(table.rows)), {table.fields[0].id: "lost"})
        server.faults.add("clock", offset_s=3_700)
        server.world.update(base, table, next(iter(table.rows)), {table.fields[0].id: "after"})
        server.faults.add(kind, kept_s=60)
        await driver.verify()
        with pytest.raises(Faulted) as told:
            await reader.read_changes(driver.now())
        assert told.value.fault.kind == "expired"


def test_the_servers_webhooks_live_as_long_as_they_are_read() -> None:
    made = Webhook("ach1", OURS, None, WEEK_S, made_secret("ach1"))
    assert made.listed(1, 50, WEEK_S - 1)["cursor"] == 1
    assert made.alive(2 * WEEK_S - 2)
    made.listed(1, 50, 2 * WEEK_S)
    assert not made.alive(2 * WEEK_S)


# Pings.


def test_a_genuine_ping_is_a_hint_and_nothing_more() -> None:
    hook = AIRTABLE.hook
    assert hook is not None
    made = Webhook("ach1", OURS, "https://x.example", NOW.timestamp() + 60, made_secret("ach1"))
    body, headers = made.ping("app1", NOW.timestamp())
    sent = Delivery({name.lower(): value for name, value in headers.items()}, body)
    assert hook.read(sent, made.secret, NOW + timedelta(days=1)) == []
    for forged, secret in (
        (Delivery(sent.headers, body + b" "), made.secret),
        (Delivery({}, body), made.secret),
        (sent, made_secret("ach2")),
        (sent, "no base64 at all!"),
    ):
        with pytest.raises(NotGenuine):
            hook.read(forged, secret, NOW)
