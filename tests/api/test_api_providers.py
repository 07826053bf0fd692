"""/v1/providers: everything of the contract, told apart by whether its connector is there."""

import pytest
from callers import Caller, Callers
from jsonschema import Draft202012Validator

from headrace.api.services import Services
from headrace.providers import SLUGS, installed, readable


@pytest.fixture(autouse=True)
def stripe_too(services: Services) -> None:
    services.providers = {**services.providers, **installed()}


async def test_every_provider_of_the_contract_is_listed_once(admin: Caller) -> None:
    listed = (await admin.ok("GET", "/v1/providers"))["data"]
    slugs = [each["slug"] for each in listed]
    assert len(slugs) == len(set(slugs))
    assert set(slugs) == {*SLUGS, "shop"}
    assert {each["slug"] for each in listed if each["available"]} == {
        "shop",
        *(slug for slug, each in installed().items() if readable(each)),
    }


async def test_one_whose_connector_is_not_there_says_so(admin: Caller, services: Services) -> None:
    services.providers = {"shop": services.providers["shop"]}
    shown = await admin.ok("GET", "/v1/providers/airtable")
    assert (shown["available"], shown["kinds"], shown["collections"]) == (False, [], [])
    await admin.fails(404, "GET", "/v1/providers/unheard")


async def test_stripe_is_told_with_kinds_collections_and_limits(admin: Caller) -> None:
    stripe = await admin.ok("GET", "/v1/providers/stripe")
    kinds = {kind["kind"]: kind for kind in stripe["kinds"]}
    assert set(kinds) == {"stripe_key", "stripe_oauth2"}
    assert kinds["stripe_key"]["secret"] == ["secret"]
    for kind in kinds.values():
        Draft202012Validator.check_schema(kind["schema"])
        assert set(kind["secret"]) <= set(kind["schema"]["properties"])
    assert len(stripe["collections"]) >= 30
    customer = next(each for each in stripe["collections"] if each["id"] == "stripe:customer")
    assert customer["incremental"] is True
    assert customer["deletes"] == "feed"
    lines = next(each for each in stripe["collections"] if each["id"] == "stripe:invoice_line_item")
    assert lines["incremental"] is True
    assert set(stripe["default_rate_limit"]) == {"allowed_requests", "interval", "max_concurrent_requests"}


async def test_any_reader_may_look(callers: Callers, admin: Caller) -> None:
    reader = await callers.of(admin.org_id, ["read"])
    await reader.ok("GET", "/v1/providers")
    consumer = await callers.of(admin.org_id, ["consume"])
    await consumer.fails(403, "GET", "/v1/providers")
