"""HubSpot's connector through `headrace serve`: everything arrives, changes and deletions follow, by themselves."""

from serving import complete, equal, oauth_app, serving, start_sync

from headrace.providers.hubspot import HUBSPOT
from headrace.testing.driver import Driver
from headrace.testing.hubspot import HubspotServer, Truth

COLLECTIONS = (
    "hubspot:contact",
    "hubspot:contact_association",
    "hubspot:company",
    "hubspot:deal",
    "hubspot:ticket",
    "hubspot:2-7654321",
    "hubspot:owner",
    "hubspot:pipeline",
    "hubspot:list",
    "hubspot:list_member",
    "hubspot:form",
    "hubspot:email_event",
)


async def test_a_sync_of_hubspot_holds_what_hubspot_holds(dsn: str) -> None:
    async with HubspotServer(400) as server, serving(dsn) as api:
        portal, truth = server.portal, Truth(server.portal)
        properties = {"kind": "hubspot_oauth2", "refresh_token": "refresh-tests", "base_url": server.base_url}
        async with Driver(HUBSPOT, "hubspot_oauth2", {**properties, "access_token": "at-tests"}) as driver:
            await driver.discover()
            provider = driver.provider
        sync = await start_sync(api, "hubspot", properties, COLLECTIONS, await oauth_app(api, "hubspot"))
        await complete(api, sync)
        await equal(api, sync, provider, truth)

        # Births, changes, a merge, what is archived and restored, of standard and custom objects.
        contacts = [thing.id for thing in portal.alive("contacts")]
        mills = [thing.id for thing in portal.alive("2-7654321")]
        portal.create("2-7654321", {"mill_name": "Weir"})
        portal.update("2-7654321", mills[0], {"wheels": "3"})
        portal.archive("2-7654321", mills[1])
        portal.merge("contacts", contacts[0], contacts[1])
        portal.associate("contacts", contacts[2], "companies", next(portal.alive("companies")).id)
        portal.update("contacts", contacts[2], {"email": "ada@example.com"})
        await equal(api, sync, provider, truth)
        portal.restore("2-7654321", mills[1])
        await equal(api, sync, provider, truth)
