"""/v1/collections: the provider's fixed ones, those found in the account, and the search for them."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from callers import Caller, Callers
from jsonschema import Draft202012Validator
from storefront import SHOP, SHOP_KEY

from headrace.api import collection_schemas
from headrace.api.services import Services
from headrace.providers import installed
from headrace.providers.kit import (
    Collection,
    Context,
    CredentialKind,
    Cursor,
    Discovery,
    Fault,
    Faulted,
    Found,
    Limit,
    LimitPolicy,
    Provider,
)
from headrace.providers.kit.provider import Discovered


class Depot:
    """What the provider `depot` has in every account: pages of tables, a refusal, or pages that lead in a circle."""

    def __init__(self) -> None:
        self.pages: list[list[Found]] = []
        self.refusal: Fault | None = None
        self.endless = False

    def page(self, context: Context, cursor: Cursor | None) -> Discovered:
        yield from ()
        if self.refusal is not None:
            raise Faulted(self.refusal)
        if self.endless:
            return [], {"place": 0 if cursor is None else 1 - cursor["place"]}
        place = 0 if cursor is None else cursor["place"]
        following = {"place": place + 1} if place + 1 < len(self.pages) else None
        return self.pages[place] if self.pages else [], following

    def provider(self) -> Provider:
        def collection(collection_id: str, found: Found) -> Collection:
            raise NotImplementedError

        return Provider(
            slug="depot",
            name="Depot",
            base_url=lambda properties: "https://depot.example",
            hosts=("depot.example",),
            kinds=(
                CredentialKind(
                    kind="depot_key",
                    schema=SHOP_KEY.schema,
                    secret=SHOP_KEY.secret,
                    sign=SHOP_KEY.sign,
                    verify=SHOP_KEY.verify,
                ),
            ),
            limits=LimitPolicy(limits=(Limit(20, 1),)),
            collections=(Collection(id="depot:crate", name="crate", listing=SHOP.collections[0].listing),),
            fault=lambda response: None,
            discovery=Discovery(self.page, collection),
        )


def found(upstream_id: str, name: str, properties: Mapping[str, Any], id_: str | None = None) -> Found:
    return Found("base_1", upstream_id, name, {"type": "object", "properties": properties}, {"raw": 1}, id_)


@pytest.fixture
def depot(services: Services) -> Depot:
    made = Depot()
    services.providers = {**services.providers, "depot": made.provider(), "stripe": installed()["stripe"]}
    return made


async def credential(caller: Caller, kind: str, secret: str = "good") -> str:
    made = await caller.ok("POST", "/v1/credentials?verify=false", {"properties": {"kind": kind, "secret": secret}})
    return str(made["id"])


async def refreshed(caller: Caller, credential_id: str) -> dict[str, Any]:
    """The state of a refresh that was started and has ended."""
    started = await caller.ok("POST", f"/v1/collections/{credential_id}/refresh/start")
    assert (started["credential_id"], started["status"], started["error"]) == (credential_id, "processing", None)
    async with asyncio.timeout(60):
        while True:
            state: dict[str, Any] = await caller.ok("GET", f"/v1/collections/{credential_id}/refresh/status")
            if state["status"] != "processing":
                return state
            await asyncio.sleep(0.01)


async def test_fixed_collections_are_there_without_a_search(admin: Caller, depot: Depot) -> None:
    id_ = await credential(admin, "shop_key")
    listed = await admin.ok("GET", f"/v1/collections/{id_}")
    assert [each["id"] for each in listed["data"]] == ["shop:customer", "shop:invoice", "shop:order"]
    one = await admin.ok("GET", f"/v1/collections/{id_}/shop:customer")
    assert one == listed["data"][0]
    assert (one["name"], one["upstream_id"]) == ("customer", "shop:customer")
    assert one["schema"]["properties"]["id"] == {
        "title": "Id", "description": "", "type": "string", "x-upstream-id": "id", "x-scope": "provider",
    }  # fmt: skip
    assert one["fields"] == [
        {"id": "id", "name": "Id", "accessor": "id", "type": "string", "primary_key": True},
    ]


async def test_every_stripe_collection_has_a_valid_schema_with_all_that_its_fields_carry(
    admin: Caller, depot: Depot
) -> None:
    id_ = await credential(admin, "stripe_key", "sk_live_one_1")
    listed = (await admin.ok("GET", f"/v1/collections/{id_}?include=upstream_metadata"))["data"]
    assert {each["id"] for each in listed} == {each.id for each in installed()["stripe"].collections}
    for each in listed:
        Draft202012Validator.check_schema(each["schema"])
        properties = each["schema"]["properties"]
        assert properties
        for shown in properties.values():
            assert {"title", "description", "type", "x-upstream-id", "x-scope", "x-upstream-metadata"} <= set(shown)
            assert shown["x-scope"] == "provider"
        assert [each["accessor"] for each in each["fields"]] == list(properties)
        assert {field["type"] for field in each["fields"]} <= {
            "string", "number", "integer", "boolean", "object", "array", "any",
        }  # fmt: skip


async def test_upstream_metadata_comes_only_when_asked_for(admin: Caller, depot: Depot) -> None:
    id_ = await credential(admin, "shop_key")
    for path in (f"/v1/collections/{id_}", f"/v1/collections/{id_}/shop:order"):
        assert "x-upstream-metadata" not in (await admin("GET", path)).text
        assert "x-upstream-metadata" in (await admin("GET", f"{path}?include=upstream_metadata")).text
        await admin.fails(400, "GET", f"{path}?include=unheard")


async def test_a_search_finds_the_accounts_own_over_several_pages(admin: Caller, depot: Depot) -> None:
    id_ = await credential(admin, "depot_key")
    assert [each["id"] for each in (await admin.ok("GET", f"/v1/collections/{id_}"))["data"]] == ["depot:crate"]
    await admin.fails(404, "GET", f"/v1/collections/{id_}/refresh/status")
    field = {"fld_1": {"type": "number", "x-upstream-metadata": {"options": ["a"]}}}
    depot.pages = [[found("tbl_1", "Flour", field)], [found("Sack__c", "Sack", {}, "depot:Sack__c")]]
    state = await refreshed(admin, id_)
    assert (state["status"], state["error"]) == ("succeeded", None)
    assert state["last_succeeded_at"] >= state["last_started_at"]
    listed = {each["name"]: each for each in (await admin.ok("GET", f"/v1/collections/{id_}"))["data"]}
    assert set(listed) == {"crate", "Flour", "Sack"}
    assert listed["Sack"]["id"] == "depot:Sack__c"
    flour = listed["Flour"]
    assert (flour["upstream_id"], flour["schema"]["properties"]["fld_1"]["x-scope"]) == ("tbl_1", "credential")
    told = await admin.ok("GET", f"/v1/collections/{id_}/{flour['id']}?include=upstream_metadata")
    assert told["schema"]["properties"]["fld_1"]["x-upstream-metadata"] == {"options": ["a"]}
    depot.pages = [[found("tbl_1", "Fine flour", field)]]
    await refreshed(admin, id_)
    renamed = await admin.ok("GET", f"/v1/collections/{id_}/{flour['id']}")
    assert renamed["name"] == "Fine flour"
    await admin.fails(404, "GET", f"/v1/collections/{id_}/depot:Sack__c")


async def test_a_fixed_collection_with_the_accounts_own_fields_takes_its_place(admin: Caller, depot: Depot) -> None:
    id_ = await credential(admin, "depot_key")
    depot.pages = [[found("crate", "crate", {"own__c": {"type": "string"}}, "depot:crate")]]
    await refreshed(admin, id_)
    [crate] = (await admin.ok("GET", f"/v1/collections/{id_}"))["data"]
    assert list(crate["schema"]["properties"]) == ["own__c"]


async def test_a_search_that_fails_says_why_and_leaves_what_was_known(admin: Caller, depot: Depot) -> None:
    id_ = await credential(admin, "depot_key")
    depot.pages = [[found("tbl_1", "Flour", {})]]
    before = await refreshed(admin, id_)
    depot.refusal = Fault("permission", "You may not see the tables")
    state = await refreshed(admin, id_)
    assert state["status"] == "failed"
    assert "You may not see the tables" in state["error"]["summary"]
    assert state["last_succeeded_at"] == before["last_succeeded_at"]
    assert len((await admin.ok("GET", f"/v1/collections/{id_}"))["data"]) == 2


async def test_a_search_of_fixed_collections_alone_succeeds(admin: Caller, depot: Depot) -> None:
    assert (await refreshed(admin, await credential(admin, "shop_key")))["status"] == "succeeded"


async def test_pages_that_lead_in_a_circle_end_the_search(admin: Caller, depot: Depot) -> None:
    id_ = await credential(admin, "depot_key")
    depot.endless = True
    state = await refreshed(admin, id_)
    assert state["status"] == "failed"
    assert "same cursor twice" in state["error"]["summary"]


async def test_the_list_is_paged(admin: Caller, depot: Depot) -> None:
    id_ = await credential(admin, "shop_key")
    first = await admin.ok("GET", f"/v1/collections/{id_}?limit=2")
    assert [each["id"] for each in first["data"]] == ["shop:customer", "shop:invoice"]
    second = await admin.ok("GET", f"/v1/collections/{id_}?limit=2&cursor={first['next_cursor']}")
    assert ([each["id"] for each in second["data"]], second["next_cursor"]) == (["shop:order"], None)
    await admin.fails(400, "GET", f"/v1/collections/{id_}?cursor=!")


async def test_organisations_and_scopes_are_kept_apart(
    admin: Caller, stranger: Caller, callers: Callers, depot: Depot
) -> None:
    id_ = await credential(admin, "shop_key")
    reader = await callers.of(admin.org_id, ["read"])
    await reader.ok("GET", f"/v1/collections/{id_}")
    await reader.fails(403, "POST", f"/v1/collections/{id_}/refresh/start")
    for path in (
        f"/v1/collections/{id_}",
        f"/v1/collections/{id_}/shop:order",
        f"/v1/collections/{id_}/refresh/status",
    ):
        await stranger.fails(404, "GET", path)
    await stranger.fails(404, "POST", f"/v1/collections/{id_}/refresh/start")
    for missing in ("nonsense", str(uuid4())):
        await admin.fails(404, "GET", f"/v1/collections/{missing}")
    for unheard in ("shop:unheard", "%00", "shop%3Aorder%00"):
        await admin.fails(404, "GET", f"/v1/collections/{id_}/{unheard}")


@pytest.mark.parametrize(
    ("told", "types", "flat"),
    [
        ({"type": "string"}, "string", "string"),
        ({"type": ["string", "null"]}, ["string", "null"], "string"),
        ({"anyOf": [{"type": "string"}, {"type": "object"}]}, ["string", "object"], "any"),
        ({"oneOf": [{"type": ["integer", "null"]}, {"type": "integer"}]}, ["integer", "null"], "integer"),
        ({"anyOf": [{"type": "string"}, {"type": "string"}]}, "string", "string"),
        ({}, ["string", "number", "boolean", "object", "array", "null"], "any"),
    ],
)
def test_a_type_is_told_also_where_the_connector_did_not(told: dict[str, Any], types: Any, flat: str) -> None:
    schema = collection_schemas.dressed({"properties": {"a_b": told}}, "provider", upstream_metadata=False)
    assert schema["properties"]["a_b"]["type"] == types
    [field] = collection_schemas.fields(schema)
    assert (field["name"], field["type"], field["primary_key"]) == ("A b", flat, False)
