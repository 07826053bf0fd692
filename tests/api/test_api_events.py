"""Events over HTTP: by cursor, and through consumers of kind `events`."""

from datetime import timedelta
from typing import Any

from callers import Caller, until
from shelf import Shelf

from headrace.api.services import Services
from headrace.stream.events import partitions

CONSUMERS = "/v1/http-consumers"


async def keep(admin: Caller, shelf: Shelf, days: int = 7) -> None:
    await admin.ok("PATCH", f"/v1/streams/{shelf.stream_id}", {"event_days": days})


async def of_events(admin: Caller, shelf: Shelf, **fields: Any) -> str:
    made = await admin.ok("POST", CONSUMERS, {"stream_id": str(shelf.stream_id), "kind": "events", **fields})
    return f"{CONSUMERS}/{made['id']}"


async def test_an_event_is_shown_with_the_record_as_of_then_and_what_was_before(admin: Caller, shelf: Shelf) -> None:
    await keep(admin, shelf)
    await shelf.put("ord_1", b'{"id":"ord_1","amount":1.0,"state":"open"}')
    [record] = (await admin.ok("GET", "/v1/records"))["records"]
    await shelf.put("ord_1", b'{"id":"ord_1","amount":1.50,"state":"open"}')
    await shelf.remove("ord_1")
    answer = await admin("GET", "/v1/events")
    assert b'"changes":{"amount":1.0}' in answer.content, "with every digit"
    created, updated, deleted = answer.json()["events"]
    assert [each["event"] for each in (created, updated, deleted)] == ["created", "updated", "deleted"]
    assert len({each["event_id"] for each in (created, updated, deleted)}) == 3
    assert all(each["event_inserted_at"].endswith("Z") for each in (created, updated, deleted))
    assert {name: created[name] for name in record} == record
    assert (created["changes"], updated["data"]["amount"], deleted["changes"]) == ({}, 1.5, {})
    assert (deleted["deleted"], deleted["data"]) == (True, updated["data"])


async def test_events_are_read_on_from_the_cursor(admin: Caller, shelf: Shelf) -> None:
    await keep(admin, shelf)
    for number in range(5):
        await shelf.put(f"ord_{number}")
    first = await admin.ok("GET", "/v1/events", params={"limit": 3})
    second = await admin.ok("GET", "/v1/events", params={"after_cursor": first["cursor"]})
    assert [each["upstream_id"] for each in first["events"] + second["events"]] == [f"ord_{n}" for n in range(5)]
    third = await admin.ok("GET", "/v1/events", params={"after_cursor": second["cursor"]})
    assert third == {"events": [], "cursor": second["cursor"]}


async def test_events_are_filtered_as_records_are(admin: Caller, shelf: Shelf) -> None:
    await keep(admin, shelf)
    await shelf.put("ord_1")
    await shelf.put("cus_1", collection="shop:customer")
    await shelf.remove("ord_1")

    async def ids(**params: Any) -> list[str]:
        return [each["upstream_id"] for each in (await admin.ok("GET", "/v1/events", params=params))["events"]]

    assert await ids(collection_id="shop:customer") == ["cus_1"]
    assert await ids(upstream_id="ord_1", deleted="true") == ["ord_1"]
    assert await ids(sync_id=str(shelf.sync_id), provider="shop") == ["ord_1", "cus_1", "ord_1"]
    assert await ids(resource_id=str(shelf.sync_id), collection="shop:customer") == ["cus_1"], "older spellings"
    await admin.fails(400, "GET", "/v1/events", params={"after_cursor": "nonsense"})


async def test_a_consumer_of_events_lets_its_stream_keep_them(admin: Caller, shelf: Shelf) -> None:
    path = await of_events(admin, shelf)
    stream = f"/v1/streams/{shelf.stream_id}"
    assert (await admin.ok("GET", stream))["event_days"] == 7
    refused = await admin.fails(422, "PATCH", stream, {"event_days": 0})
    assert "event_days" in refused["validation_errors"]
    await admin.ok("DELETE", path)
    assert (await admin.ok("PATCH", stream, {"event_days": 0}))["event_days"] == 0


async def test_what_a_consumer_was_not_given_in_seven_days_is_dropped_and_told(
    admin: Caller, shelf: Shelf, services: Services
) -> None:
    path = await of_events(admin, shelf)
    began = services.db.clock.now()
    await shelf.put("ord_1")
    await shelf.put("ord_2")
    await partitions.drop_expired(services.db, began + timedelta(days=7))
    assert [each["upstream_id"] for each in (await admin.ok("GET", "/v1/events"))["events"]] == ["ord_1", "ord_2"]
    assert (await admin.ok("GET", path))["num_lost"] == 0

    async def gone() -> bool:
        await partitions.drop_expired(services.db, began + timedelta(days=9))
        return not (await admin.ok("GET", "/v1/events"))["events"]

    await until(gone)
    held = await admin.ok("GET", path)
    assert (held["num_pending"], held["num_lost"], held["health"]["status"]) == (0, 2, "warning")
    assert [note for note in held["health"]["notes"] if note.startswith("2 events were dropped")]


async def test_a_consumer_of_events_gives_events_and_takes_acks(admin: Caller, shelf: Shelf) -> None:
    path = await of_events(admin, shelf)
    await shelf.put("ord_1", b'{"a":1}')
    await shelf.put("ord_1", b'{"a":2}')
    seen = []
    while messages := (await admin.ok("GET", f"{path}/next", params={"batch_size": 10}))["data"]:
        assert [set(message) for message in messages] == [{"ack_token", "event"}]
        seen += [(message["event"]["event"], message["event"]["changes"]) for message in messages]
        answer = await admin("POST", f"{path}/ack", {"ack_tokens": [message["ack_token"] for message in messages]})
        assert answer.status_code == 204
    assert seen == [("created", {}), ("updated", {"a": 1})]


async def test_an_event_set_aside_is_listed_and_replayed(admin: Caller, shelf: Shelf) -> None:
    path = await of_events(admin, shelf)
    await shelf.put("ord_1")
    [message] = (await admin.ok("GET", f"{path}/next"))["data"]
    await admin("POST", f"{path}/term", {"ack_tokens": [message["ack_token"]], "reason": "odd"})
    [letter] = (await admin.ok("GET", f"{path}/dead-letters"))["data"]
    assert (letter["event"]["event"], letter["reason"]) == ("created", "odd")
    assert await admin.ok("POST", f"{path}/dead-letters/replay", {}) == {"replayed": 1}
    [again] = (await admin.ok("GET", f"{path}/next"))["data"]
    assert again["event"] == message["event"]


async def test_another_kind_moves_the_consumer_and_voids_its_tokens(admin: Caller, shelf: Shelf) -> None:
    await keep(admin, shelf)
    await shelf.put("ord_1")
    path = await of_events(admin, shelf)
    [message] = (await admin.ok("GET", f"{path}/next"))["data"]
    assert (await admin.ok("PATCH", path, {"kind": "records"}))["kind"] == "records"
    await admin("POST", f"{path}/ack", {"ack_tokens": [message["ack_token"]]})
    [again] = (await admin.ok("GET", f"{path}/next"))["data"]
    assert again["record"]["upstream_id"] == "ord_1"
