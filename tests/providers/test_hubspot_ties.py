"""More contacts that changed in one millisecond than a search of HubSpot shows, read by `headrace serve`."""

import pytest
from serving import complete, equal, oauth_app, serving, start_sync

from headrace.providers.hubspot import HUBSPOT
from headrace.testing.driver import Driver
from headrace.testing.hubspot import HubspotServer, Truth
from headrace.testing.hubspot.server import MOST_FOUND


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_an_import_that_touches_more_contacts_at_once_than_a_search_shows_is_read_whole(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with HubspotServer({"contacts": MOST_FOUND + 250}) as server, serving(dsn) as api:
        portal = server.portal
        properties = {"kind": "hubspot_oauth2", "refresh_token": "refresh-tests", "base_url": server.base_url}
        async with Driver(HUBSPOT, "hubspot_oauth2", {**properties, "access_token": "at-tests"}) as driver:
            await driver.discover()
            provider = driver.provider
        sync = await start_sync(api, "hubspot", properties, ["hubspot:contact"], await oauth_app(api, "hubspot"))
        await complete(api, sync)
        moment = server.clock.now()
        with monkeypatch.context() as frozen:
            frozen.setattr(portal, "_now", lambda: moment)
            for contact in [*portal.alive("contacts")]:
                portal.update("contacts", contact.id, {"phone": "by one import"})
        assert len({contact.changed for contact in portal.alive("contacts")}) == 1
        await equal(api, sync, provider, Truth(portal))
        assert (await api.syncs.get(sync["id"]))["health"]["status"] == "healthy"
