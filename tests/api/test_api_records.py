"""/v1/records: reading a stream by cursor."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from callers import NOBODY, Caller, Callers
from shelf import Shelf

PATH = "/v1/records"


async def test_a_record_is_shown_whole(admin: Caller, shelf: Shelf) -> None:
    await admin.ok("PATCH", f"/v1/syncs/{shelf.sync_id}", {"external_id": "org_42", "metadata": {"a": 1}})
    await shelf.put("ord_1", b'{"id":"ord_1","amount":1.0,"big":123456789012345678901234567890}')
    answer = await admin("GET", PATH)
    assert b'"data":{"id":"ord_1","amount":1.0,"big":123456789012345678901234567890}}' in answer.content
    (record,) = answer.json()["records"]
    for name in ("inserted_at", "upstream_updated_at"):
        assert record.pop(name).endswith("Z")
    assert record == {
        "id": record["id"],
        "stream_id": str(shelf.stream_id),
        "provider": "shop",
        "collection_id": "shop:order",
        "sync_id": str(shelf.sync_id),
        "sync": {"id": str(shelf.sync_id), "external_id": "org_42", "metadata": {"a": 1}},
        "upstream_id": "ord_1",
        "updated_idx": record["updated_idx"],
        "deleted": False,
        "upstream_created_at": None,
        "data": answer.json()["records"][0]["data"],
    }
    one = await admin("GET", f"{PATH}/{record['id']}")
    assert one.status_code == 200
    assert one.content in answer.content


async def test_reading_on_from_the_cursor_shows_every_change(admin: Caller, shelf: Shelf) -> None:
    for number in range(5):
        await shelf.put(f"ord_{number}")
    first = await admin.ok("GET", PATH, params={"limit": 3})
    assert [one["upstream_id"] for one in first["records"]] == ["ord_0", "ord_1", "ord_2"]
    await shelf.put("ord_1", b'{"changed":true}')
    second = await admin.ok("GET", PATH, params={"after_cursor": first["cursor"]})
    assert [one["upstream_id"] for one in second["records"]] == ["ord_3", "ord_4", "ord_1"]
    third = await admin.ok("GET", PATH, params={"after_cursor": second["cursor"]})
    assert third == {"records": [], "cursor": second["cursor"]}
    numbers = [one["updated_idx"] for one in first["records"] + second["records"]]
    assert numbers == sorted(numbers)


async def test_an_empty_stream_has_a_cursor_to_begin_with(admin: Caller, shelf: Shelf) -> None:
    empty = await admin.ok("GET", PATH)
    assert empty["records"] == []
    assert isinstance(empty["cursor"], str)
    await shelf.put("ord_1")
    assert len((await admin.ok("GET", PATH, params={"after_cursor": empty["cursor"]}))["records"]) == 1


async def test_records_are_filtered(admin: Caller, shelf: Shelf) -> None:
    await shelf.put("a")
    await shelf.put("b", collection="shop:customer")
    await shelf.remove("a")

    async def found(**params: Any) -> list[str]:
        return [one["upstream_id"] for one in (await admin.ok("GET", PATH, params=params))["records"]]

    assert await found() == ["b", "a"]
    assert await found(stream_id=str(shelf.stream_id)) == ["b", "a"]
    assert await found(sync_id=str(shelf.sync_id)) == ["b", "a"]
    assert await found(resource_id=str(shelf.sync_id)) == ["b", "a"]
    assert await found(collection_id="shop:customer") == ["b"]
    assert await found(collection="shop:customer") == ["b"]
    assert await found(upstream_id="a") == ["a"]
    assert await found(deleted="true") == ["a"]
    assert await found(deleted="false") == ["b"]
    assert await found(provider="shop") == ["b", "a"]
    assert await found(provider="other") == []
    for unknown in ({"stream_id": str(uuid4())}, {"sync_id": str(uuid4())}):
        await admin.fails(404, "GET", PATH, params=unknown)
    for wrong in ({"deleted": "maybe"}, {"limit": "0"}, {"limit": "1001"}, {"stream_id": "x"}, {"after_cursor": "x"}):
        await admin.fails(400, "GET", PATH, params=wrong)


async def test_the_stream_must_be_told_where_there_are_several(admin: Caller, shelf: Shelf) -> None:
    await shelf.put("a")
    other = await admin.ok("POST", "/v1/streams", {"slug": "other"})
    assert set(await admin.invalid("GET", PATH, None)) == {"stream_id"}
    cursor = (await admin.ok("GET", PATH, params={"sync_id": str(shelf.sync_id)}))["cursor"]
    assert (await admin.ok("GET", PATH, params={"stream_id": other["id"]}))["records"] == []
    taken_along = {"stream_id": other["id"], "after_cursor": cursor}
    assert "another stream" in (await admin.fails(400, "GET", PATH, params=taken_along))["summary"]


async def test_an_organisation_without_a_stream_is_told_so(stranger: Caller) -> None:
    assert set(await stranger.invalid("GET", PATH, None)) == {"stream_id"}


async def test_records_of_others_are_not_there(admin: Caller, stranger: Caller, callers: Callers, shelf: Shelf) -> None:
    await shelf.put("a")
    (record,) = (await admin.ok("GET", PATH))["records"]
    other = await admin.ok("POST", "/v1/streams", {"slug": "other"})
    limited = await callers.of(admin.org_id, ["read"], streams=[UUID(other["id"])])
    for caller in (stranger, limited):
        await caller.fails(404, "GET", f"{PATH}/{record['id']}")
        await caller.fails(404, "GET", PATH, params={"stream_id": str(shelf.stream_id)})
        await caller.fails(404, "GET", PATH, params={"sync_id": str(shelf.sync_id)})
    assert (await limited.ok("GET", PATH))["records"] == []


@pytest.mark.parametrize("id_", ["x", NOBODY])
async def test_a_record_that_is_not_there_is_a_404(admin: Caller, shelf: Shelf, id_: str) -> None:
    await admin.fails(404, "GET", f"{PATH}/{id_}")


async def test_a_deleted_sync_takes_its_records_along(admin: Caller, shelf: Shelf) -> None:
    await shelf.put("a")
    (record,) = (await admin.ok("GET", PATH))["records"]
    await admin.ok("DELETE", f"/v1/syncs/{shelf.sync_id}")
    assert (await admin.ok("GET", PATH))["records"] == []
    await admin.fails(404, "GET", f"{PATH}/{record['id']}")


async def test_a_purge_of_a_misspelt_collection_is_refused(admin: Caller, shelf: Shelf) -> None:
    errors = await admin.invalid("DELETE", f"/v1/syncs/{shelf.sync_id}/records?collection_id=shop:ordre", None)
    assert errors == {"collection_id": ["is not a collection of shop"]}


async def test_a_purge_removes_what_is_held_with_a_plan_before(admin: Caller, shelf: Shelf) -> None:
    await shelf.put("a")
    await shelf.put("b", collection="shop:customer")
    path = f"/v1/syncs/{shelf.sync_id}/records"
    plan = await admin.ok("DELETE", path, params={"collection_id": "shop:order", "dry_run": "true"})
    assert plan["purge"] == [{"collection_id": "shop:order", "records": 1}]
    assert len((await admin.ok("GET", PATH))["records"]) == 2
    done = await admin.ok("DELETE", path, params={"collection_id": "shop:order"})
    assert done == {"id": str(shelf.sync_id), "deleted": True, "records": 1}
    assert [one["upstream_id"] for one in (await admin.ok("GET", PATH))["records"]] == ["b"]
    assert (await admin.ok("DELETE", path))["records"] == 1
    assert (await admin.ok("GET", PATH))["records"] == []


async def test_a_syncs_metadata_is_that_of_now(admin: Caller, shelf: Shelf) -> None:
    await shelf.put("a")
    before = await admin.ok("GET", PATH)
    await admin.ok("PATCH", f"/v1/syncs/{shelf.sync_id}", {"metadata": {"a": 2}})
    (record,) = (await admin.ok("GET", PATH))["records"]
    assert record["sync"]["metadata"] == {"a": 2}
    assert (await admin.ok("GET", PATH, params={"after_cursor": before["cursor"]}))["records"] == []


@pytest.mark.parametrize("upstream_id", ['"', "\\", "é", "a/b?c#d", "\n", " ", "x" * 500])
async def test_any_upstream_id_can_be_read_back(admin: Caller, shelf: Shelf, upstream_id: str) -> None:
    await shelf.put(upstream_id)
    (record,) = (await admin.ok("GET", PATH, params={"upstream_id": upstream_id}))["records"]
    assert record["upstream_id"] == upstream_id
