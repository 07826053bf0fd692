"""A new data key takes over everything, while the old one goes on opening what it sealed."""

import asyncio
from uuid import UUID

import pytest
from mill import KEY

from headrace.db.pool import Database
from headrace.vault import credentials, oauth_apps
from headrace.vault.drafts import Draft, Verdict
from headrace.vault.keys import Keyring
from headrace.vault.kinds import Account
from headrace.vault.resealing import _PLACES, replace_data_keys
from headrace.vault.sealing import key_id

MOST = 205  # more than one chunk


async def held(db: Database, keyring: Keyring, org_id: UUID, number: int) -> credentials.Credential:
    draft = Draft("mill", KEY, {"secret": f"mk_{number}"})
    async with db.transaction() as conn:
        return await credentials.import_(
            conn, keyring, org_id, draft, Verdict(Account(f"mill_{number}")), db.clock.now()
        )  # fmt: skip


async def replaced(db: Database, keyring: Keyring) -> tuple[int, int]:
    async with db.api.acquire() as conn:
        return await replace_data_keys(conn, keyring, db.clock.now())


async def opens(db: Database, keyring: Keyring, held: credentials.Credential) -> object:
    async with db.api.acquire() as conn:
        present = await credentials.get(conn, held.org_id, held.id)
        return (await credentials.open_properties(conn, keyring, present))["secret"]


async def keys_in_use(db: Database, org_id: UUID) -> set[UUID]:
    rows = await db.api.fetch("select secrets from credentials where org_id = $1", org_id)
    rows += await db.api.fetch("select secrets from oauth_apps where org_id = $1", org_id)
    return {key_id(row["secrets"]) for row in rows}


async def test_everything_is_sealed_with_the_new_key_and_opens(db: Database, keyring: Keyring, org_id: UUID) -> None:
    made = [await held(db, keyring, org_id, number) for number in range(MOST)]
    async with db.transaction() as conn:
        app = await oauth_apps.create(
            conn, keyring, org_id, provider="mill", name="a", client_id="c", secrets={"client_secret": "s"},
            redirect_uris=(), properties={}, metadata="{}", now=db.clock.now(),
        )  # fmt: skip
    (old,) = await keys_in_use(db, org_id)
    assert await replaced(db, keyring) == (1, MOST + 1)
    (new,) = await keys_in_use(db, org_id)
    assert new != old
    assert await opens(db, keyring, made[0]) == "mk_0"
    assert await opens(db, keyring, made[-1]) == f"mk_{MOST - 1}"
    async with db.api.acquire() as conn:
        assert await oauth_apps.open_secrets(conn, keyring, await oauth_apps.get(conn, org_id, app.id)) == {
            "client_secret": "s"
        }


async def test_who_writes_meanwhile_loses_nothing(db: Database, keyring: Keyring, org_id: UUID) -> None:
    made = [await held(db, keyring, org_id, number) for number in range(20)]
    _, *later = await asyncio.gather(
        replaced(db, keyring), *(held(db, keyring, org_id, number) for number in range(20, 30))
    )
    assert [await opens(db, keyring, each) for each in [*made, *later]] == [f"mk_{number}" for number in range(30)]


@pytest.mark.parametrize("what", [place[0] for place in _PLACES])
async def test_a_sealed_column_is_one_of_the_database(what: str, db: Database) -> None:
    table, _, column = what.partition(".")
    kind = await db.api.fetchval(
        "select data_type from information_schema.columns where table_name = $1 and column_name = $2", table, column
    )
    assert kind == "bytea"
