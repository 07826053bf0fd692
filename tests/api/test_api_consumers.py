"""/v1/http-consumers: what a consumer is told to be."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from callers import NOBODY, Caller, Callers

PATH = "/v1/http-consumers"


async def test_a_consumer_needs_only_its_stream(admin: Caller, stream: dict[str, Any]) -> None:
    made = await admin.ok("POST", PATH, {"stream_id": stream["id"]})
    assert made.pop("name")
    assert made.pop("id")
    assert made.pop("created_at") == made.pop("updated_at")
    assert made == {
        "stream_id": stream["id"],
        "kind": "records",
        "deliver_policy": "all",
        "ack_wait_ms": 30_000,
        "max_deliver": -1,
        "max_ack_pending": 1000,
        "filters": {"provider": "*", "sync_id": "*", "collection_id": "*"},
        "metadata": {},
    }


async def test_all_but_the_stream_can_be_changed(admin: Caller, stream: dict[str, Any]) -> None:
    made = await admin.ok("POST", PATH, {"stream_id": stream["id"]})
    path = f"{PATH}/{made['id']}"
    sync_id = str(uuid4())
    changes = {
        "name": "mine",
        "deliver_policy": "new",
        "ack_wait_ms": 5000,
        "max_deliver": 3,
        "max_ack_pending": 7,
        "filters": {"provider": "shop", "sync_id": [sync_id], "collection_id": ["shop:order", "shop:invoice"]},
        "metadata": {"a": 1},
    }
    changed = await admin.ok("PATCH", path, changes)
    assert {**made, **changes, "updated_at": changed["updated_at"]} == changed
    assert changed["updated_at"] > made["updated_at"]
    assert changed.items() <= (await admin.ok("GET", path)).items()
    assert set(await admin.invalid("PATCH", path, {"stream_id": stream["id"], "name": "x"})) == {"stream_id"}
    assert (await admin.ok("PATCH", path, {}))["name"] == "mine"


async def test_one_consumer_is_shown_with_what_waits(admin: Caller, stream: dict[str, Any]) -> None:
    made = await admin.ok("POST", PATH, {"stream_id": stream["id"]})
    shown = await admin.ok("GET", f"{PATH}/{made['id']}")
    assert {name: shown[name] for name in ("num_pending", "num_ack_pending", "num_dead", "num_lost")} == {
        "num_pending": 0,
        "num_ack_pending": 0,
        "num_dead": 0,
        "num_lost": 0,
    }
    assert shown["health"] == {"status": "healthy", "notes": []}


async def test_what_was_read_can_be_sent_back_without_its_stream(admin: Caller, stream: dict[str, Any]) -> None:
    made = await admin.ok("POST", PATH, {"stream_id": stream["id"]})
    shown = await admin.ok("GET", f"{PATH}/{made['id']}")
    del shown["stream_id"]
    assert await admin.ok("PATCH", f"{PATH}/{made['id']}", shown) == made


async def test_older_spellings_are_taken(admin: Caller, stream: dict[str, Any]) -> None:
    sync_id = str(uuid4())
    made = await admin.ok(
        "POST",
        PATH,
        {
            "stream_id": stream["id"],
            "ack_wait": 4000,
            "filters": {"resource_id": sync_id, "collection": "shop:order"},
        },
    )
    assert made["ack_wait_ms"] == 4000
    assert made["filters"] == {"provider": "*", "sync_id": sync_id, "collection_id": "shop:order"}
    assert (await admin.ok("PATCH", f"{PATH}/{made['id']}", {"ack_wait": 9}))["ack_wait_ms"] == 9
    both = {"stream_id": stream["id"], "ack_wait": 4000, "ack_wait_ms": 4000}
    assert set(await admin.invalid("POST", PATH, both)) == {"ack_wait"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"stream_id": None}, "stream_id"),
        ({"stream_id": "x"}, "stream_id"),
        ({"stream_id": NOBODY}, "stream_id"),
        ({"name": ""}, "name"),
        ({"kind": "others"}, "kind"),
        ({"deliver_policy": "some"}, "deliver_policy"),
        ({"ack_wait_ms": 0}, "ack_wait_ms"),
        ({"ack_wait_ms": 2**31}, "ack_wait_ms"),
        ({"ack_wait_ms": "30000"}, "ack_wait_ms"),
        ({"max_deliver": 0}, "max_deliver"),
        ({"max_deliver": -2}, "max_deliver"),
        ({"max_deliver": 2**31}, "max_deliver"),
        ({"max_ack_pending": 0}, "max_ack_pending"),
        ({"filters": []}, "filters"),
        ({"filters": {"colour": "red"}}, "filters.colour"),
        ({"filters": {"provider": []}}, "filters.provider"),
        ({"filters": {"provider": ["*"]}}, "filters.provider"),
        ({"filters": {"provider": 1}}, "filters.provider"),
        ({"filters": {"provider": None}}, "filters.provider"),
        ({"filters": {"sync_id": "not-an-id"}}, "filters.sync_id"),
        ({"filters": {"sync_id": [NOBODY, "x"]}}, "filters.sync_id"),
        ({"metadata": []}, "metadata"),
        ({"metadata": None}, "metadata"),
        ({"metadata": {"a": "x" * 16_400}}, "metadata"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_fields_that_do_not_hold(
    admin: Caller, stream: dict[str, Any], given: dict[str, Any], field: str
) -> None:
    assert set(await admin.invalid("POST", PATH, {"stream_id": stream["id"], **given})) == {field}


async def test_metadata_comes_back_with_every_digit(admin: Caller, stream: dict[str, Any]) -> None:
    metadata = '{"a":1.0,"b":0.1000,"c":123456789012345678901234567890,"d":1E+2,"e":-0,"f":"\\u00e9"}'
    body = f'{{"stream_id": "{stream["id"]}", "metadata": {metadata}}}'
    answer = await admin("POST", PATH, content=body.encode())
    stored = metadata.replace("\\u00e9", "é")
    assert f'"metadata":{stored}' in answer.text
    answer = await admin("GET", f"{PATH}/{answer.json()['id']}")
    assert f'"metadata":{stored}' in answer.text


async def test_consumers_are_filtered(admin: Caller, stream: dict[str, Any]) -> None:
    other = await admin.ok("POST", "/v1/streams", {"slug": "other"})
    one = await admin.ok(
        "POST", PATH, {"stream_id": stream["id"], "name": "one", "metadata": {"a": {"b": 1.0}, "c": 2}}
    )
    two = await admin.ok("POST", PATH, {"stream_id": other["id"], "name": "two", "metadata": {"a": {"b": 2}}})

    async def found(**params: str) -> list[Any]:
        data: list[Any] = (await admin.ok("GET", PATH, params=params))["data"]
        return data

    assert await found() == [one, two]
    assert await found(stream_id=stream["id"]) == [one]
    assert await found(name="two") == [two]
    assert await found(metadata='{"a": {"b": 1}}') == [one]
    assert await found(metadata='{"a": {}}') == [one, two]
    assert await found(metadata='{"a": {"b": 1}, "c": 3}') == []
    assert await found(stream_id=stream["id"], name="two") == []
    assert (await admin.ok("GET", PATH, {"metadata": {"a": {"b": 2}}}))["data"] == [two]
    for wrong in ("[]", "{", "1", '{"a": 1, "a": 2}', '"x"', '{"a": 1e99999}'):
        await admin.fails(400, "GET", PATH, params={"metadata": wrong})
    await admin.fails(400, "GET", PATH, params={"stream_id": "x"})


async def test_a_token_for_some_streams_reaches_their_consumers_only(
    admin: Caller, callers: Callers, stream: dict[str, Any]
) -> None:
    other = await admin.ok("POST", "/v1/streams", {"slug": "other"})
    mine = await admin.ok("POST", PATH, {"stream_id": stream["id"]})
    theirs = await admin.ok("POST", PATH, {"stream_id": other["id"]})
    limited = await callers.of(admin.org_id, ["admin"], streams=[UUID(stream["id"])])
    assert (await limited.ok("GET", PATH))["data"] == [mine]
    assert set(await limited.invalid("POST", PATH, {"stream_id": other["id"]})) == {"stream_id"}
    await limited.ok("POST", PATH, {"stream_id": stream["id"]})
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        await limited.fails(404, method, f"{PATH}/{theirs['id']}", body)
    for action in ("next", "ack", "nack", "extend", "term"):
        await limited.fails(404, "POST", f"{PATH}/{theirs['id']}/{action}", {"ack_tokens": ["x"]})


async def test_a_consumer_is_deleted_with_a_plan_before(admin: Caller, stream: dict[str, Any]) -> None:
    made = await admin.ok("POST", PATH, {"stream_id": stream["id"]})
    path = f"{PATH}/{made['id']}"
    plan = {"dry_run": True, "backfill": [], "purge": [], "affects": [made["id"]]}
    assert await admin.ok("DELETE", path, params={"dry_run": "true"}) == plan
    await admin.ok("GET", f"{path}/next")
    assert await admin.ok("DELETE", path) == {"id": made["id"], "deleted": True}
    await admin.fails(404, "GET", path)
    await admin.fails(404, "GET", f"{path}/next")
