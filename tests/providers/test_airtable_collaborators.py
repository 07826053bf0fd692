"""Who may work in a base, and an enterprise's log: what the plan or the token does not allow is told."""

from datetime import timedelta

import pytest
from airtable_world import world
from holding import holding_at

from headrace.clock import from_unix
from headrace.db.pool import Database
from headrace.providers.airtable import AIRTABLE
from headrace.providers.airtable.access import TOKEN
from headrace.providers.airtable.account import OF_SOME
from headrace.providers.kit import EVERYTHING, Context, Faulted
from headrace.testing.airtable import AirtableServer
from headrace.testing.airtable.world import ENTERPRISE
from headrace.testing.driver import Driver
from headrace.testing.reader import Reader

COLLABORATOR, COLLABORATORS = "airtable:collaborator", "workspacesAndBases:read"
AUDIT, EVENTS = "airtable:audit_event", "enterprise.auditLogs:read"


async def test_who_comes_and_who_goes_is_found_when_everything_is_compared() -> None:
    async with world(60) as (server, driver, truth, _):
        reader = Reader(driver, [COLLABORATOR])
        await reader.begin()
        await reader.backfill()
        assert not reader.copy.difference(truth, [COLLABORATOR])
        base = next(iter(server.world.bases.values()))
        server.world.invite(base, "usrNew00000000001", "edit")
        server.world.dismiss(base, next(iter(base.members)))
        await reader.sweep([COLLABORATOR])
        assert not reader.copy.difference(truth, [COLLABORATOR])


async def test_the_log_tells_what_happened_since() -> None:
    async with world(60) as (server, driver, truth, _):
        reader = Reader(driver, [AUDIT])
        await reader.begin()
        await reader.backfill()
        before = driver.now() - timedelta(seconds=1)
        server.world.rename(next(iter(server.world.bases.values())), "Renamed")
        assert reader.copy.difference(truth, [AUDIT]).missing
        await reader.read_changes(before)
        assert not reader.copy.difference(truth, [AUDIT])


@pytest.mark.parametrize(
    ("scopes", "enterprise", "there"),
    [
        ((COLLABORATORS, EVENTS), ENTERPRISE, {COLLABORATOR, AUDIT}),
        ((COLLABORATORS, EVENTS), None, {COLLABORATOR}),
        ((COLLABORATORS, EVENTS), "entSomebodyElses", {COLLABORATOR}),
        ((EVENTS,), ENTERPRISE, {AUDIT}),
        ((), ENTERPRISE, set()),
    ],
)
async def test_an_account_has_what_it_is_told(scopes: tuple[str, ...], enterprise: str | None, there: set[str]) -> None:
    async with AirtableServer(60) as server:
        server.scopes -= {COLLABORATORS, EVENTS} - {*scopes}
        properties = {"token": "patTests", "base_url": server.base_url}
        properties |= {} if enterprise is None else {"enterprise_account_id": enterprise}
        async with Driver(AIRTABLE, "airtable_token", properties) as driver:
            found = await driver.discover()
        assert {COLLABORATOR, AUDIT} & found.keys() == there
        assert len(found.keys() - {COLLABORATOR, AUDIT}) == 12


def test_a_log_that_is_asked_for_without_its_enterprise_says_what_is_missing() -> None:
    listing = OF_SOME[AUDIT].listing
    assert listing is not None
    with pytest.raises(Faulted, match="enterprise_account_id") as told:
        next(listing.page(Context({}, from_unix(0)), EVERYTHING, None))
    assert told.value.fault.kind == "config"


async def test_a_base_whose_plan_does_not_tell_keeps_the_others_from_nothing(db: Database) -> None:
    async with AirtableServer(60) as server:
        closed, *others = server.world.bases
        server.faults.add("no_such_plan", path=f"*/{closed}")
        async with holding_at(db, server.base_url, [COLLABORATOR], AIRTABLE, TOKEN, {"token": "patEngine"}) as held:
            await held.start()
            await held.found()

            async def told() -> bool:
                notes = (await held.health())["notes"]
                return any(f"refuses {closed}" in note and "Invalid permissions" in note for note in notes)

            await held.until(told)
            await held.read_to_the_end()
            told_of = {each.upstream_id.split("/")[0] for each in await held.records(COLLABORATOR)}
            assert told_of == {*others}


async def test_a_token_without_the_scope_is_told(db: Database) -> None:
    async with AirtableServer(60) as server:
        server.scopes.discard(COLLABORATORS)
        async with holding_at(db, server.base_url, [COLLABORATOR], AIRTABLE, TOKEN, {"token": "patEngine"}) as held:
            await held.start()
            await held.found()

            async def told() -> bool:
                health = await held.health()
                notes = [note for note in health["notes"] if "was not found in the account" in note]
                return health["status"] == "error" and COLLABORATOR in "".join(notes)

            await held.until(told)
            assert await held.records(COLLABORATOR) == []


async def test_a_scope_that_was_taken_away_deletes_nothing(db: Database) -> None:
    async with (
        AirtableServer(60) as server,
        holding_at(db, server.base_url, [COLLABORATOR], AIRTABLE, TOKEN, {"token": "patEngine"}) as held,
    ):
        await held.start()
        await held.found()
        await held.read_to_the_end()
        before = {each.upstream_id for each in await held.records(COLLABORATOR)}
        assert len(before) == 15
        await held.stop()
        await held.sweep_now(COLLABORATOR)
        server.scopes.discard(COLLABORATORS)
        await held.start()

        async def told() -> bool:
            health = await held.health()
            return health["status"] == "error" and any("is not allowed to" in note for note in health["notes"])

        await held.until(told)
        assert {each.upstream_id for each in await held.records(COLLABORATOR) if not each.deleted} == before
