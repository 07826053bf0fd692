"""How HubSpot is asked, and what the answers become: searches, batches, associations, refusals, webhooks."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from headrace.http import Request, Response
from headrace.providers.hubspot import HUBSPOT, access
from headrace.providers.hubspot.associations import Associations
from headrace.providers.hubspot.objects import Objects
from headrace.providers.hubspot.portal import ObjectType
from headrace.providers.hubspot.webhooks import signed
from headrace.providers.kit import (
    EVERYTHING,
    ChildSet,
    Context,
    Delete,
    Delivery,
    Faulted,
    Hint,
    NotGenuine,
    Record,
    Window,
)
from headrace.providers.kit.checks import drive, walk

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CTX = Context({}, NOW)
DEAL = Objects(ObjectType("deal", "deals", properties=("amount", "dealname")))


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    return Response(status, orjson.dumps(body), NOW, headers)


def row(key: int, at: datetime = NOW, **values: Any) -> dict[str, Any]:
    time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    properties = {"hs_object_id": str(key), "hs_lastmodifieddate": time, **values}
    return {"id": str(key), "properties": properties, "createdAt": time, "updatedAt": time, "archived": False}


def asked(request: Request) -> Any:
    return orjson.loads(request.body or b"{}")


def batch(request: Request, **values: Any) -> Response:
    return answer(
        {"status": "COMPLETE", "results": [row(int(each["id"]), **values) for each in asked(request)["inputs"]]}
    )


def test_a_search_tells_ids_and_a_batch_what_they_hold() -> None:
    def respond(request: Request) -> Response:
        if request.url.endswith("/search"):
            return answer({"total": 1, "results": [row(7, amount="stale")]})
        assert asked(request)["properties"] == ["amount", "dealname"]
        return batch(request, amount="5")

    page, (search, _) = drive(DEAL.changed(CTX, Window(NOW - timedelta(hours=1), NOW), None), respond)
    assert search.limit_class == access.SEARCH
    low, high = int((NOW - timedelta(hours=1)).timestamp() * 1000), int(NOW.timestamp() * 1000)
    assert asked(search) == {
        "filterGroups": [
            {
                "filters": [
                    {"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": str(low)},
                    {"propertyName": "hs_lastmodifieddate", "operator": "LT", "value": str(high)},
                ]
            }
        ],
        "sorts": [{"propertyName": "hs_lastmodifieddate", "direction": "ASCENDING"}],
        "properties": ["hs_lastmodifieddate"],
        "limit": 200,
    }
    (record,) = page.items
    assert isinstance(record, Record)
    assert orjson.loads(record.raw)["properties"]["amount"] == "5"


def test_a_page_of_a_search_ends_with_a_whole_millisecond() -> None:
    """The rows of the last millisecond of a full page are read with the next one, and those of one that fills a page by
    their ids."""
    early, tied = NOW, NOW + timedelta(milliseconds=1)
    everything = [row(1, early), *(row(key, tied) for key in range(2, 502))]

    def respond(request: Request) -> Response:
        if not request.url.endswith("/search"):
            return batch(request)
        filters = {
            (each["operator"], each["propertyName"]): int(each["value"])
            for each in asked(request)["filterGroups"][0]["filters"]
        }
        low = filters.get(("GTE", "hs_lastmodifieddate"), 0)
        same = filters.get(("EQ", "hs_lastmodifieddate"))
        above = filters.get(("GT", "hs_object_id"), 0)
        times = {each["id"]: int(datetime.fromisoformat(each["updatedAt"]).timestamp() * 1000) for each in everything}
        found = [
            each
            for each in everything
            if times[each["id"]] >= low and (same is None or times[each["id"]] == same) and int(each["id"]) > above
        ]
        return answer({"total": len(found), "results": found[:200]})

    pages = walk(DEAL.changed, CTX, Window(NOW - timedelta(hours=1), NOW + timedelta(hours=1)), respond)
    read = [item.id for page in pages for item in page.items if isinstance(item, Record)]
    assert read == [str(key) for key in range(1, 502)]


def test_a_search_that_passes_over_the_order_is_read_on_by_its_own_cursor() -> None:
    """In the order of the ids, the first of which was changed last."""
    everything = [row(key, NOW - timedelta(minutes=key)) for key in range(1, 502)]

    def respond(request: Request) -> Response:
        if not request.url.endswith("/search"):
            return batch(request)
        low = int(asked(request)["filterGroups"][0]["filters"][0]["value"])
        assert low == int((NOW - timedelta(days=1)).timestamp() * 1000), "the window stays the same"
        first = int(asked(request).get("after", 0))
        paging = {"paging": {"next": {"after": str(first + 200)}}} if first + 200 < len(everything) else {}
        return answer({"total": 501, "results": everything[first : first + 200], **paging})

    pages = walk(DEAL.changed, CTX, Window(NOW - timedelta(days=1), NOW + timedelta(hours=1)), respond)
    read = [item.id for page in pages for item in page.items if isinstance(item, Record)]
    assert read == [str(key) for key in range(1, 502)]


def test_a_search_out_of_order_that_gives_no_cursor_is_a_fault() -> None:
    everything = [row(key, NOW - timedelta(minutes=key)) for key in range(1, 202)]
    with pytest.raises(Faulted, match="do not come in the order of their change"):
        drive(
            DEAL.changed(CTX, Window(NOW - timedelta(days=1), NOW), None),
            lambda request: answer({"total": 201, "results": everything[:200]}),
        )


def test_a_millisecond_walked_by_id_out_of_order_is_a_fault() -> None:
    tied = [row(key, NOW) for key in range(200, 0, -1)]
    with pytest.raises(Faulted, match="do not come in the order of their ids"):
        drive(
            DEAL.changed(CTX, EVERYTHING, {"tie": int(NOW.timestamp() * 1000), "id": "0"}),
            lambda request: answer({"total": 300, "results": tied}),
        )


def test_rows_that_do_not_come_in_the_order_of_their_change_are_asked_for_again() -> None:
    mixed = [row(key, NOW - timedelta(milliseconds=key)) for key in range(200)]
    with pytest.raises(Faulted) as told:
        drive(DEAL.changed(CTX, EVERYTHING, None), lambda request: answer({"results": mixed}))
    assert told.value.fault.kind == "transient"


def test_what_a_batch_does_not_hold_is_gone_and_what_was_merged_into_it_too() -> None:
    winner = row(9, hs_merged_object_ids="7;8", hs_calculated_merged_vids="9:1763900000000;6:1763900000001")
    page, _ = drive(DEAL.fetch(CTX, "7", None), lambda request: answer({"results": [winner]}, 207))
    assert [(type(item), item.id) for item in page.items if not isinstance(item, ChildSet)] == [
        (Delete, "7"), (Record, "9"), (Delete, "7"), (Delete, "8"), (Delete, "6"),
    ]  # fmt: skip


def test_a_list_whose_properties_do_not_fit_into_its_address_is_read_in_batches() -> None:
    names = tuple(f"a_property_with_a_long_name_{number:04}" for number in range(600))
    wide = Objects(ObjectType("deal", "deals", properties=names))

    def respond(request: Request) -> Response:
        if request.method == "GET":
            assert sum(len(value) for _, value in request.query) < 1_000
            return answer({"results": [row(1), row(2)]})
        assert asked(request)["properties"] == list(names)
        return batch(request)

    (page,) = walk(wide.listing, CTX, EVERYTHING, respond)
    assert [item.id for item in page.items if isinstance(item, Record)] == ["1", "2"]


def test_what_was_archived_is_told_by_its_moment_alone() -> None:
    gone = [{"id": str(n), "archivedAt": f"2026-11-23T1{n}:00:00.000Z", "properties": {}} for n in (0, 1)]
    window = Window(NOW - timedelta(hours=1), NOW)
    (page,) = walk(DEAL.deleted, CTX, window, lambda request: answer({"results": gone}))
    (item,) = page.items
    assert isinstance(item, Delete)
    assert (item.id, item.version, item.as_of) == ("1", 0, NOW - timedelta(hours=1))


def test_associations_hold_both_ends_and_are_read_on_page_by_page() -> None:
    def respond(request: Request) -> Response:
        if not request.url.endswith("/contacts/companies/batch/read"):
            return answer({"results": []})
        (asked_for,) = asked(request)["inputs"]
        at = int(asked_for.get("after", "0"))
        told: dict[str, Any] = {"from": {"id": "5"}, "to": [{"toObjectId": 100 + at, "associationTypes": []}]}
        if at == 0:
            told["paging"] = {"next": {"after": "1"}}
        return answer({"results": [told]}, 207)

    parent = Record("hubspot:contact", "5", b"{}", NOW)
    page, requests = drive(Associations("contact").again(CTX, parent, None), respond)
    first, second, whole = page.items
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert (first.id, second.id, first.parent) == ("5/companies/100", "5/companies/101", "5")
    assert orjson.loads(first.raw)["fromObjectId"] == "5"
    assert whole == ChildSet("hubspot:contact_association", "5", frozenset({first.id, second.id}), NOW)
    assert len(requests) == 2


# Limits.


@pytest.mark.parametrize(
    ("policy", "headers", "wait"),
    [("SECONDLY", {}, 1), ("TEN_SECONDLY_ROLLING", {}, 10), ("NEW", {}, 10), ("SECONDLY", {"retry-after": "7"}, 7)],
)
def test_a_refusal_says_by_its_policy_how_long_to_wait(policy: str, headers: dict[str, str], wait: float) -> None:
    told = HUBSPOT.limits.too_many(answer({"status": "error", "policyName": policy}, 429, **headers))
    assert told is not None
    assert (told.retry_after_s, told.limit_class) == (wait, None)


@pytest.mark.parametrize(("minute", "wait"), [(0, 900), (14, 60), (15, 900), (59, 60)])
def test_the_day_is_over_at_a_midnight_that_is_on_a_quarter_of_an_hour(minute: int, wait: float) -> None:
    """It is over for searches too."""
    body = orjson.dumps({"status": "error", "policyName": "DAILY"})
    told = HUBSPOT.limits.too_many(Response(429, body, NOW.replace(minute=minute)))
    assert told is not None
    assert (told.retry_after_s, told.limit_class) == (wait, "all")


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, []),
        ({"Remaining": "108", "Interval-Milliseconds": "10000"}, [(108, 10)]),
        ({"Remaining": "7"}, []),
        ({"Daily": "250000", "Daily-Remaining": "12"}, [(12, 900)]),
        ({"Remaining": "7", "Interval-Milliseconds": "10000", "Daily-Remaining": "12"}, [(7, 10), (12, 900)]),
        ({"Secondly": "11", "Secondly-Remaining": "10", "Daily-Remaining": "much"}, []),
    ],
)
def test_what_is_left_is_read_off_the_headers_that_are_there(
    headers: dict[str, str], told: list[tuple[float, float]]
) -> None:
    named = {f"x-hubspot-ratelimit-{name.lower()}": value for name, value in headers.items()}
    left = HUBSPOT.limits.remaining(Response(200, b"{}", NOW, named))
    assert [(each.remaining, each.resets_in_s) for each in left] == told
    assert {each.limit_class for each in left} <= {"all"}


def in_batch(category: str, **more: Any) -> Response:
    error = {"status": "error", "category": category, "message": "could not be read", "context": {"ids": ["8"]}}
    return answer({"status": "COMPLETE", "results": [row(7)], "numErrors": 1, "errors": [error | more]}, 207)


def test_a_part_of_a_batch_that_failed_is_not_taken_for_gone() -> None:
    page, _ = drive(DEAL.fetch(CTX, "7", None), lambda _: in_batch("OBJECT_NOT_FOUND"))
    assert access.fault(in_batch("OBJECT_NOT_FOUND", subCategory="crm.associations.NO_ASSOCIATIONS_FOUND")) is None
    (record,) = page.items
    assert isinstance(record, Record)
    for category, kind in (("INTERNAL_ERROR", "transient"), ("MISSING_SCOPES", "permission"), ("", "transient")):
        fault = access.fault(in_batch(category))
        assert fault is not None
        assert fault.kind == kind
    with pytest.raises(Faulted, match="PROCESSING"):
        drive(DEAL.fetch(CTX, "7", None), lambda _: answer({"status": "PROCESSING", "results": []}))


def test_a_batch_that_counts_errors_and_tells_none_is_no_answer() -> None:
    fault = access.fault(answer({"status": "COMPLETE", "results": [], "numErrors": 1}, 207))
    assert fault is not None
    assert fault.kind == "transient"


@pytest.mark.parametrize(
    ("alone", "gone"),
    [(answer({}, 404), True), (answer(row(9)), True), (answer(row(8)), False)],
    ids=["is not there", "was merged into another", "is there"],
)
def test_what_a_batch_leaves_out_without_a_word_is_asked_for_by_itself(alone: Response, gone: bool) -> None:
    def respond(request: Request) -> Response:
        return alone if request.url.endswith("/deals/8") else answer({"status": "COMPLETE", "results": [row(7)]})

    if not gone:
        with pytest.raises(Faulted, match="which is there"):
            drive(DEAL.fetch(CTX, "8", None), respond)
        return
    page, sent = drive(DEAL.fetch(CTX, "8", None), respond)
    assert {(type(item), item.id) for item in page.items if isinstance(item, Record | Delete)} == {
        (Record, "7"),
        (Delete, "8"),
    }
    assert len(sent) == 2


def test_what_a_batch_names_as_not_there_is_gone_without_another_request() -> None:
    page, sent = drive(DEAL.fetch(CTX, "8", None), lambda _: in_batch("OBJECT_NOT_FOUND"))
    assert {(type(item), item.id) for item in page.items if isinstance(item, Record | Delete)} == {
        (Record, "7"),
        (Delete, "8"),
    }
    assert len(sent) == 1


@pytest.mark.parametrize(
    "told",
    [
        {"errors": [{"message": "…", "context": {"requiredGranularScopes": ["tickets", "crm.objects.deals.read"]}}]},
        {"context": {"missingScopes": ["tickets", "crm.objects.deals.read"]}},
        {"errors": ["odd", {"context": "odd"}, {"context": {"requiredScopes": ["tickets", "crm.objects.deals.read"]}}]},
    ],
)
def test_scopes_that_are_missing_are_named(told: dict[str, Any]) -> None:
    fault = access.fault(answer({"category": "MISSING_SCOPES", "message": "Not granted.", **told}, 403))
    assert fault is not None
    assert fault.kind == "permission"
    assert fault.message == "Not granted. (one of these scopes is missing: tickets, crm.objects.deals.read)"


def test_a_refusal_without_scopes_is_told_in_its_own_words() -> None:
    bodies: tuple[dict[str, Any], ...] = ({"message": "No."}, {"message": "No.", "errors": None, "context": []})
    for body in bodies:
        fault = access.fault(answer(body, 403))
        assert fault is not None
        assert fault.message == "No."


# Webhooks.

URL = "https://headrace.example/webhooks/1/s"
EVENTS = orjson.dumps(
    [
        {"subscriptionType": "contact.propertyChange", "objectId": 4, "propertyName": "email"},
        {"subscriptionType": "contact.privacyDeletion", "objectId": 5},
        {"subscriptionType": "object.deletion", "objectTypeId": "2-7654321", "objectId": 6},
        {"subscriptionType": "deal.merge", "objectId": 7, "mergedObjectIds": [8, 9]},
        {"subscriptionType": "object.restore", "objectTypeId": "0-48", "objectId": 10},
        {"subscriptionType": "conversation.creation", "objectId": 11},
    ]
)


def delivery(at: datetime = NOW, secret: str = "s", body: bytes = EVENTS) -> Delivery:
    moment = str(int(at.timestamp() * 1000))
    signature = signed(secret, "POST", URL, EVENTS, moment).decode()
    headers = {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": moment}
    return Delivery(headers, body, URL)


def test_a_webhook_names_what_is_gone_or_back() -> None:
    assert HUBSPOT.hook is not None
    assert HUBSPOT.hook.read(delivery(), "s", NOW) == [
        Hint("hubspot:contact", "5", forgotten=True),
        Hint("hubspot:2-7654321", "6"),
        *(Hint("hubspot:deal", key) for key in ("7", "8", "9")),
        Hint("hubspot:call", "10"),
    ]


@pytest.mark.parametrize(
    "forged",
    [
        delivery(secret="other"),
        delivery(body=b"[]"),
        delivery(at=NOW - timedelta(minutes=6)),
        Delivery({"x-hubspot-signature-v3": "x"}, EVENTS, URL),
    ],
)
def test_a_webhook_that_is_not_genuine_is_refused(forged: Delivery) -> None:
    assert HUBSPOT.hook is not None
    with pytest.raises(NotGenuine):
        HUBSPOT.hook.read(forged, "s", NOW)
