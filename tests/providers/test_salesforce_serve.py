"""Salesforce's connector through `headrace serve`: everything arrives, changes and deletions follow, by themselves."""

from serving import complete, equal, oauth_app, serving, start_sync

from headrace.providers.salesforce import SALESFORCE
from headrace.testing.driver import Driver
from headrace.testing.salesforce import SalesforceServer, Truth

COLLECTIONS = (
    "salesforce:account",
    "salesforce:contact",
    "salesforce:opportunity",
    "salesforce:opportunity_history",
    "salesforce:content_document",
    "salesforce:content_document_link",
    "salesforce:Invoice__c",
    "salesforce:Survey__c",
)


async def test_a_sync_of_salesforce_holds_what_salesforce_holds(dsn: str) -> None:
    async with SalesforceServer(400, daily_requests=1_000_000) as server, serving(dsn) as api:
        org, truth = server.org, Truth(server.org)
        # Contacts come by a query job, the others by pages.
        server.counts["Contact"] = 5_000_000
        properties = {
            "kind": "salesforce_oauth2",
            "instance_url": "https://acme.my.salesforce.com",
            "refresh_token": "5AepTests",
            "base_url": server.base_url,
        }
        async with Driver(SALESFORCE, "salesforce_oauth2", {**properties, "access_token": server.session()}) as driver:
            await driver.discover()
            provider = driver.provider
        app = await oauth_app(api, "salesforce")
        sync = await start_sync(api, "salesforce", properties, COLLECTIONS, app)
        await complete(api, sync)
        await equal(api, sync, provider, truth)
        assert server.log.find("*/jobs/query/*/results", status=200)

        # Births, changes, a merge, deletions and a restoration, of standard and custom objects.
        accounts = [row["Id"] for row in org.alive("Account")]
        invoices = [row["Id"] for row in org.alive("Invoice__c")]
        org.create("Invoice__c", server.population.made("Invoice__c"))
        org.update("Invoice__c", invoices[0], {"Total__c": 12.5})
        org.delete("Invoice__c", invoices[1])
        org.merge("Account", accounts[0], accounts[1])
        org.touch("Account", accounts[2])
        await equal(api, sync, provider, truth)
        org.restore("Invoice__c", invoices[1])
        await equal(api, sync, provider, truth)

        # The session is over: a new token is had, and the reading goes on.
        server.end_sessions()
        org.update("Contact", next(org.alive("Contact"))["Id"], {"Email": "ada@example.com"})
        await equal(api, sync, provider, truth)
        assert len(server.log.find("/services/oauth2/token", status=200)) >= 2
