"""Discovered collections: ids given once and kept for ever, refreshes that are one at a time and end."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from mill import KINDS

from headrace.db.pool import Database
from headrace.vault import collections, credentials, drafts
from headrace.vault.collections import LONGEST_REFRESH, Sighting
from headrace.vault.drafts import Draft, Verdict
from headrace.vault.keys import Keyring
from headrace.vault.kinds import Account

FLOUR = Sighting("base_1", "tbl_1", "Flour", '{"type": "object"}', '{"fields": []}', None)
GRAIN = Sighting("base_1", "tbl_2", "Grain", "{}", "{}", None)
SACK = Sighting("", "Sack__c", "Sack", "{}", "{}", "mill:Sack__c")


@pytest.fixture
async def credential_id(db: Database, keyring: Keyring, org_id: UUID) -> UUID:
    return await make_credential(db, keyring, org_id, "mill_1")


async def make_credential(db: Database, keyring: Keyring, org_id: UUID, account: str) -> UUID:
    read = drafts.read(KINDS, {"kind": "mill_key", "secret": "mk_1"}, provider=None, allow_base_url=False)
    draft = Draft(read.provider, read.kind, read.properties)
    async with db.transaction() as conn:
        found = await credentials.import_(conn, keyring, org_id, draft, Verdict(Account(account)), db.clock.now())
    return found.id


async def refresh(db: Database, org_id: UUID, credential_id: UUID, found: Sequence[Sighting]) -> dict[str, str]:
    """A whole refresh; the ids by upstream id."""
    started = db.clock.now()
    async with db.transaction() as conn:
        assert await collections.start(conn, org_id, credential_id, started)
    async with db.transaction() as conn:
        await collections.succeed(conn, org_id, credential_id, "mill", started, found, db.clock.now())
        return {each.upstream_id: each.id for each in await collections.list_(conn, org_id, credential_id)}


async def status(db: Database, org_id: UUID, credential_id: UUID, now: datetime | None = None) -> object:
    async with db.api.acquire() as conn:
        state = await collections.refresh_of(conn, org_id, credential_id, now or db.clock.now())
    return None if state is None else state.status


async def test_a_table_keeps_its_id_through_renames_credentials_and_absence(
    db: Database, keyring: Keyring, org_id: UUID, credential_id: UUID
) -> None:
    first = await refresh(db, org_id, credential_id, [FLOUR, SACK])
    assert re.fullmatch(r"mill:[A-Za-z0-9]{24}", first["tbl_1"])
    assert first["Sack__c"] == "mill:Sack__c"
    assert list(await refresh(db, org_id, credential_id, [SACK])) == ["Sack__c"]
    assert await refresh(db, org_id, credential_id, [replace(FLOUR, name="Fine flour"), SACK]) == first
    other = await make_credential(db, keyring, org_id, "mill_2")
    assert (await refresh(db, org_id, other, [FLOUR]))["tbl_1"] == first["tbl_1"]


async def test_tables_of_different_places_have_different_ids(db: Database, org_id: UUID, credential_id: UUID) -> None:
    elsewhere = replace(FLOUR, scope="base_2", upstream_id="tbl_1b")
    ids = await refresh(db, org_id, credential_id, [FLOUR, GRAIN, elsewhere])
    assert len(set(ids.values())) == 3


async def test_of_two_refreshes_that_meet_a_table_at_once_one_gives_the_id(
    db: Database, keyring: Keyring, org_id: UUID
) -> None:
    one, other = [await make_credential(db, keyring, org_id, account) for account in ("mill_1", "mill_2")]
    ids = await asyncio.gather(refresh(db, org_id, one, [FLOUR]), refresh(db, org_id, other, [FLOUR]))
    assert ids[0] == ids[1]


async def test_what_was_found_is_read_back(db: Database, org_id: UUID, credential_id: UUID) -> None:
    ids = await refresh(db, org_id, credential_id, [FLOUR])
    async with db.api.acquire() as conn:
        found = await collections.get(conn, org_id, credential_id, ids["tbl_1"])
        assert found is not None
        assert (found.name, found.upstream_id, found.schema, found.upstream_metadata) == (
            "Flour", "tbl_1", '{"type": "object"}', '{"fields": []}',
        )  # fmt: skip
        assert await collections.get(conn, org_id, credential_id, "mill:unheard") is None


async def test_one_refresh_at_a_time(db: Database, org_id: UUID, credential_id: UUID) -> None:
    assert await status(db, org_id, credential_id) is None
    now = db.clock.now()
    async with db.transaction() as conn:
        assert await collections.start(conn, org_id, credential_id, now)
        assert not await collections.start(conn, org_id, credential_id, now + timedelta(seconds=1))
    assert await status(db, org_id, credential_id) == "processing"


async def test_a_refresh_that_was_left_behind_has_failed_and_may_be_started_again(
    db: Database, org_id: UUID, credential_id: UUID
) -> None:
    left_at = db.clock.now() - LONGEST_REFRESH - timedelta(seconds=1)
    async with db.transaction() as conn:
        assert await collections.start(conn, org_id, credential_id, left_at)
    assert await status(db, org_id, credential_id, left_at) == "processing"
    assert await status(db, org_id, credential_id) == "failed"
    started = db.clock.now()
    async with db.transaction() as conn:
        assert await collections.start(conn, org_id, credential_id, started)
        await collections.fail(conn, org_id, credential_id, left_at, '{"summary": "too late to say so"}')
    assert await status(db, org_id, credential_id) == "processing"


async def test_a_failure_keeps_what_was_known(db: Database, org_id: UUID, credential_id: UUID) -> None:
    before = await refresh(db, org_id, credential_id, [FLOUR])
    started = db.clock.now()
    async with db.transaction() as conn:
        await collections.start(conn, org_id, credential_id, started)
        await collections.fail(conn, org_id, credential_id, started, '{"summary": "it was refused"}')
        state = await collections.refresh_of(conn, org_id, credential_id, db.clock.now())
        assert state is not None
        assert (state.status, state.error) == ("failed", '{"summary": "it was refused"}')
        assert state.last_succeeded_at is not None
        assert state.last_succeeded_at < started
        assert [each.id for each in await collections.list_(conn, org_id, credential_id)] == list(before.values())


async def test_a_deleted_credential_takes_its_findings_along_but_not_the_ids(
    db: Database, keyring: Keyring, org_id: UUID, credential_id: UUID
) -> None:
    before = await refresh(db, org_id, credential_id, [FLOUR])
    async with db.transaction() as conn:
        await credentials.delete(conn, org_id, credential_id)
    assert await status(db, org_id, credential_id) is None
    again = await make_credential(db, keyring, org_id, "mill_1")
    assert await refresh(db, org_id, again, [FLOUR]) == before
