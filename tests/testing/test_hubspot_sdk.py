"""hubspot-api-client, the vendor's own, reads the server: every object, by list, search and batch, and the lists."""

import asyncio
from typing import Any

import hubspot
import pytest
from hubspot.crm.contacts import BatchReadInputSimplePublicObjectId, PublicObjectSearchRequest, SimplePublicObjectId
from hubspot.crm.contacts.exceptions import ApiException
from urllib3.util import Retry

from headrace.testing.hubspot import HubspotServer


def client(server: HubspotServer, token: str = "pat-na1-sdk") -> Any:
    """A client of the server."""
    return hubspot.Client.create(access_token=token, host=server.base_url, retry=Retry(0))


async def test_every_object_is_seen() -> None:
    async with HubspotServer({"contacts": 250, "companies": 3}) as server:
        hub, portal = client(server), server.portal
        gone = next(portal.alive("contacts")).id
        portal.archive("contacts", gone)

        def read(**options: Any) -> list[Any]:
            api, found, after = hub.crm.contacts.basic_api, [], None
            while True:
                page = api.get_page(limit=100, after=after, properties=["email"], **options)
                found += page.results
                if page.paging is None:
                    return found
                after = page.paging.next.after

        there = await asyncio.to_thread(read)
        archived = await asyncio.to_thread(lambda: read(archived=True))
        assert {each.id for each in there} == {str(thing.id) for thing in portal.alive("contacts")}
        assert [each.id for each in archived] == [str(gone)]
        assert all(each.created_at and each.updated_at and "email" in each.properties for each in there)


async def test_searches_and_batches() -> None:
    async with HubspotServer({"contacts": 40}) as server:
        hub, portal = client(server), server.portal
        keys = sorted(thing.id for thing in portal.alive("contacts"))
        portal.update("contacts", keys[0], {"email": "ada@example.com"})
        filters = [{"propertyName": "email", "operator": "EQ", "value": "ada@example.com"}]
        asked = PublicObjectSearchRequest(filter_groups=[{"filters": filters}], properties=["email"], limit=10)
        inputs = [SimplePublicObjectId(str(keys[0])), SimplePublicObjectId("7")]
        many = BatchReadInputSimplePublicObjectId(properties=["email"], properties_with_history=[], inputs=inputs)

        def read() -> tuple[Any, Any]:
            contacts = hub.crm.contacts
            return contacts.search_api.do_search(asked), contacts.batch_api.read(many)

        found, batch = await asyncio.to_thread(read)
        assert (found.total, [each.id for each in found.results]) == (1, [str(keys[0])])
        assert [each.properties["email"] for each in batch.results] == ["ada@example.com"]
        assert batch.num_errors == 1


async def test_owners_pipelines_and_properties() -> None:
    async with HubspotServer({"contacts": 200}) as server:
        hub = client(server)

        def read() -> tuple[Any, Any, Any]:
            return (
                hub.crm.pipelines.pipelines_api.get_all("deals"),
                hub.crm.properties.core_api.get_all("contacts"),
                hub.crm.owners.owners_api.get_page(limit=100),
            )

        pipelines, properties, owners = await asyncio.to_thread(read)
        assert [each.id for each in pipelines.results] == ["default"]
        assert {each.name for each in properties.results} == set(server.portal.kinds["contacts"].properties)
        assert len(owners.results) == sum(not each["archived"] for each in server.portal.others["owners"])


async def test_a_token_that_is_none_is_refused_as_the_sdk_knows_it() -> None:
    async with HubspotServer({"contacts": 1}) as server:
        with pytest.raises(ApiException, match="INVALID_AUTHENTICATION"):
            await asyncio.to_thread(client(server, "nothing").crm.contacts.basic_api.get_page)
