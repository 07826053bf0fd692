"""What a webhook names is fetched at once: a deletion that no reading tells is stored before any comparison, and what
is to be forgotten is erased."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from holding import Holding, holding, holding_at
from shop import open_shop

from headrace.db.pool import Database
from headrace.engine import aside, hints
from headrace.providers.github import GITHUB
from headrace.providers.github import access as github
from headrace.providers.hubspot import HUBSPOT
from headrace.providers.hubspot import access as hubspot
from headrace.providers.kit import CredentialKind, Hint, Provider
from headrace.providers.linear import LINEAR
from headrace.providers.linear import access as linear
from headrace.stream.events.reading import read_after as events_after
from headrace.testing.github import GithubServer
from headrace.testing.hubspot import HubspotServer
from headrace.testing.linear import LinearServer

CONTACT = "hubspot:contact"


@asynccontextmanager
async def held_at(
    db: Database, url: str, collection: str, provider: Provider, kind: CredentialKind, properties: dict[str, Any]
) -> AsyncIterator[Holding]:
    """A sync of one collection, read to the end, with its events kept."""
    async with holding_at(db, url, [collection], provider, kind, properties) as held:
        await db.api.execute("update stream_locks set event_days = 7 where stream_id = $1", held.sync.stream_id)
        await held.start()
        if provider.discovery is not None:
            await held.found()
        await held.read_to_the_end()
        yield held


async def told(held: Holding, *named: Hint) -> None:
    """A genuine webhook came."""
    async with held.db.transaction() as conn:
        await hints.take(conn, held.sync, named, held.db.clock.now())
    if held.runner is not None:
        held.runner.hint()


async def waiting(held: Holding) -> int:
    count: int = await held.db.api.fetchval("select count(*) from set_aside where sync_id = $1", held.sync.id)
    return count


async def looked_at(held: Holding, key: str) -> None:
    """Wait until it was looked at, and nothing had changed."""

    async def looked() -> bool:
        return bool(await held.db.api.fetchval("select looks from set_aside where upstream_id = $1", key))

    await held.until(looked)


async def gone(held: Holding, collection: str, key: str) -> None:
    """Wait until the record is held as deleted, and is not left to be fetched."""

    async def is_gone() -> bool:
        still = await held.db.api.fetchval("select count(*) from set_aside where upstream_id = $1", key)
        return not still and any(
            record.upstream_id == key and record.deleted for record in await held.records(collection)
        )

    await held.until(is_gone)


async def test_who_is_to_be_forgotten_is_deleted_and_erased(db: Database) -> None:
    async with (
        HubspotServer({"contacts": 5}) as server,
        held_at(db, server.base_url, CONTACT, HUBSPOT, hubspot.PRIVATE_APP, {"token": "pat-1"}) as held,
    ):
        before = await held.copy(CONTACT)
        key = min(before)
        server.portal.erase("contacts", int(key))
        await told(held, Hint(CONTACT, key, forgotten=True))
        await gone(held, CONTACT, key)
        [record] = [record for record in await held.records(CONTACT) if record.deleted]
        assert record.data == b"{}"
        assert await held.copy(CONTACT) == {other: data for other, data in before.items() if other != key}
        async with db.api.acquire() as conn:
            events = await events_after(conn, held.sync.stream_id, 0, 100)
        mine = [event for event in events if event.upstream_id == key]
        assert {event.event for event in mine} == {"created", "deleted"}
        assert {event.data for event in mine} == {b"{}"}
        assert all(event.data != b"{}" for event in events if event.upstream_id != key)


@pytest.mark.parametrize("odd", ["\0", "a%00b", "\ud800", "a%ud800b"])
async def test_a_name_that_cannot_be_kept_is_left_to_the_next_reading(db: Database, odd: str) -> None:
    async with open_shop() as shop, holding(db, shop, ["order"]) as held:
        names = [Hint("shop:order", odd), Hint("shop:order", "o1", "/o1\0"), Hint("shop:order", "o2", "/%00")]
        await told(held, *names)
        rows = await db.api.fetch("select upstream_id, parent_id from set_aside")
        assert [tuple(row) for row in rows] == [("o2", "/%00")]
        assert (await held.state())["hinted_at"] is not None


async def test_who_is_still_there_is_not_erased(db: Database) -> None:
    async with (
        HubspotServer({"contacts": 5}) as server,
        held_at(db, server.base_url, CONTACT, HUBSPOT, hubspot.PRIVATE_APP, {"token": "pat-1"}) as held,
    ):
        before = await held.copy(CONTACT)
        await told(held, Hint(CONTACT, min(before), forgotten=True))
        await looked_at(held, min(before))
        assert await held.copy(CONTACT) == before


async def test_what_does_not_show_yet_is_looked_at_again(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The webhook may come before the provider's own reads know of the change."""
    monkeypatch.setattr(aside, "LOOKS", (timedelta(seconds=0.3),) * 1_000)
    async with (
        HubspotServer({"contacts": 5}) as server,
        held_at(db, server.base_url, CONTACT, HUBSPOT, hubspot.PRIVATE_APP, {"token": "pat-1"}) as held,
    ):
        key = min(await held.copy(CONTACT))
        await told(held, Hint(CONTACT, key))
        await looked_at(held, key)
        server.portal.erase("contacts", int(key))
        await gone(held, CONTACT, key)


async def test_what_never_shows_is_not_looked_at_for_ever(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "LOOKS", (timedelta(0),) * 3)
    async with (
        HubspotServer({"contacts": 5}) as server,
        held_at(db, server.base_url, CONTACT, HUBSPOT, hubspot.PRIVATE_APP, {"token": "pat-1"}) as held,
    ):
        before = await held.copy(CONTACT)
        asked = len(server.log.find("*/contacts/batch/read"))
        await told(held, Hint(CONTACT, min(before)))

        async def left() -> bool:
            return not await waiting(held)

        await held.until(left)
        assert len(server.log.find("*/contacts/batch/read")) - asked >= 4
        assert await held.copy(CONTACT) == before


async def test_what_a_webhook_named_outlives_the_process_that_took_it(db: Database) -> None:
    async with (
        HubspotServer({"contacts": 5}) as server,
        held_at(db, server.base_url, CONTACT, HUBSPOT, hubspot.PRIVATE_APP, {"token": "pat-1"}) as held,
    ):
        key = min(await held.copy(CONTACT))
        await held.kill()
        server.portal.erase("contacts", int(key))
        await told(held, Hint(CONTACT, key), Hint("hubspot:deal", "1"))
        assert await waiting(held) == 1, "of collections that the sync does not have, nothing is fetched"
        await held.start()
        await gone(held, CONTACT, key)


async def test_an_issue_that_was_deleted_is_looked_for_at_its_address(db: Database) -> None:
    async with (
        GithubServer({"issue": 6}, repositories=1) as server,
        held_at(db, server.base_url, "github:issue", GITHUB, github.TOKEN, {"token": "ghp_headrace"}) as held,
    ):
        [place] = server.world.repositories.values()
        key, kept = sorted(place.things["issue"])[:2]
        numbers = {each: place.things["issue"][each].data["number"] for each in (key, kept)}
        server.world.delete("issue", key, place.id)
        await told(
            held,
            *(Hint("github:issue", str(each), f"/repositories/{place.id}/issues/{numbers[each]}") for each in numbers),
        )
        await gone(held, "github:issue", str(key))
        assert str(kept) in await held.copy("github:issue")


async def test_what_hides_with_its_repository_is_not_taken_for_deleted(db: Database) -> None:
    async with (
        GithubServer({"issue": 6}, repositories=1) as server,
        held_at(db, server.base_url, "github:issue", GITHUB, github.TOKEN, {"token": "ghp_headrace"}) as held,
    ):
        [place] = server.world.repositories.values()
        before = await held.copy("github:issue")
        key = min(place.things["issue"])
        number = place.things["issue"][key].data["number"]
        place.readable = False
        await told(
            held,
            Hint("github:issue", str(key), f"/repositories/{place.id}/issues/{number}"),
        )
        await looked_at(held, str(key))
        assert await held.copy("github:issue") == before


async def test_what_was_purged_from_the_trash_is_gone(db: Database) -> None:
    async with (
        LinearServer({"issue": 4}) as server,
        held_at(db, server.base_url, "linear:issue", LINEAR, linear.KEY, {"key": "lin_api_headrace"}) as held,
    ):
        key = min(server.world.things["issue"])
        server.world.purge("issue", key)
        await told(held, Hint("linear:issue", key))
        await gone(held, "linear:issue", key)
