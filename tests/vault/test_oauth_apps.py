"""OAuth apps on a real database: secrets sealed, changes written only where there are some, none deleted in use."""

from typing import Any
from uuid import UUID

import pytest
from mill import KINDS

from headrace.db.pool import Database
from headrace.errors import Invalid, NotFound
from headrace.vault import credentials, drafts, oauth_apps
from headrace.vault.drafts import Draft, Verdict
from headrace.vault.keys import Keyring
from headrace.vault.kinds import Account
from headrace.vault.oauth_apps import Filters, OAuthApp
from headrace.vault.sealing import CannotOpen

NO_FILTERS = Filters()


async def create(db: Database, keyring: Keyring, org_id: UUID, **given: Any) -> OAuthApp:
    wanted: dict[str, Any] = {
        "provider": "mill",
        "name": "Our app",
        "client_id": "ca_1",
        "secrets": {"client_secret": "cs_1"},
        "redirect_uris": ["https://here.example/back"],
        "properties": {},
        "metadata": "{}",
    }
    async with db.transaction() as conn:
        return await oauth_apps.create(conn, keyring, org_id, now=db.clock.now(), **{**wanted, **given})


async def update(db: Database, keyring: Keyring, app: OAuthApp, **given: Any) -> OAuthApp:
    async with db.transaction() as conn:
        held = await oauth_apps.get(conn, app.org_id, app.id, lock=True)
        wanted: dict[str, Any] = {
            "name": held.name,
            "secrets": {},
            "redirect_uris": held.redirect_uris,
            "metadata": held.metadata,
        }
        return await oauth_apps.update(conn, keyring, held, now=db.clock.now(), **{**wanted, **given})


async def secrets(db: Database, keyring: Keyring, app: OAuthApp) -> dict[str, str]:
    async with db.api.acquire() as conn:
        return await oauth_apps.open_secrets(conn, keyring, await oauth_apps.get(conn, app.org_id, app.id))


async def test_what_was_made_is_read_back_with_its_secrets_sealed(db: Database, keyring: Keyring, org_id: UUID) -> None:
    made = await create(
        db, keyring, org_id, secrets={"client_secret": "cs_1", "private_key": "pk_1"}, properties={"app_id": "7"}
    )
    async with db.api.acquire() as conn:
        assert await oauth_apps.get(conn, org_id, made.id) == made
    assert oauth_apps.masked(made) == {"client_secret": "**********", "private_key": "**********"}
    assert await secrets(db, keyring, made) == {"client_secret": "cs_1", "private_key": "pk_1"}
    assert "cs_1" not in repr(made)


async def test_an_apps_secrets_moved_into_another_row_do_not_open(db: Database, keyring: Keyring, org_id: UUID) -> None:
    one, other = await create(db, keyring, org_id), await create(db, keyring, org_id)
    await db.api.execute(
        "update oauth_apps set secrets = (select secrets from oauth_apps where id = $1) where id = $2", one.id, other.id
    )
    with pytest.raises(CannotOpen):
        await secrets(db, keyring, other)


async def test_a_change_is_written_and_none_is_not(db: Database, keyring: Keyring, org_id: UUID) -> None:
    made = await create(db, keyring, org_id)
    assert await update(db, keyring, made, secrets={"client_secret": "cs_1"}) == made
    renamed = await update(db, keyring, made, name="Other", metadata='{"a": 1}')
    assert (renamed.name, renamed.metadata) == ("Other", '{"a": 1}')
    assert renamed.updated_at > made.updated_at
    await update(db, keyring, renamed, secrets={"client_secret": "cs_2"}, redirect_uris=[])
    assert await secrets(db, keyring, made) == {"client_secret": "cs_2"}


async def test_lists_are_filtered_and_paged(db: Database, keyring: Keyring, org_id: UUID) -> None:
    made = [await create(db, keyring, org_id, metadata=f'{{"n": {n}}}') for n in range(3)]
    made.sort(key=lambda app: app.id)
    other = await create(db, keyring, org_id, provider="forge")
    everything = sorted([*made, other], key=lambda app: app.id)

    async def ids(filters: Filters = NO_FILTERS, **page: Any) -> list[UUID]:
        async with db.api.acquire() as conn:
            return [app.id for app in await oauth_apps.list_(conn, org_id, filters, **{"limit": 10, **page})]

    assert await ids() == [app.id for app in everything]
    assert await ids(limit=2, after=everything[0].id) == [app.id for app in everything[1:3]]
    assert await ids(Filters(provider="forge")) == [other.id]
    assert await ids(Filters(metadata='{"n": 1}')) == [next(app.id for app in made if app.metadata == '{"n": 1}')]
    assert await ids(Filters(health_status="error")) == []


async def test_an_app_in_use_is_not_deleted(db: Database, keyring: Keyring, org_id: UUID) -> None:
    app = await create(db, keyring, org_id)
    read = drafts.read(KINDS, {"kind": "mill_key", "secret": "mk_1"}, provider=None, allow_base_url=False)
    draft = Draft(read.provider, read.kind, read.properties, app.id)
    async with db.transaction() as conn:
        credential = await credentials.import_(conn, keyring, org_id, draft, Verdict(Account("mill_1")), db.clock.now())
    assert credential.oauth_app_id == app.id
    with pytest.raises(Invalid) as refused:
        async with db.transaction() as conn:
            await oauth_apps.delete(conn, org_id, app.id)
    assert "1 credentials" in refused.value.errors["id"][0]
    async with db.transaction() as conn:
        await credentials.delete(conn, org_id, credential.id)
        await oauth_apps.delete(conn, org_id, app.id)
    with pytest.raises(NotFound):
        await secrets(db, keyring, app)


async def test_a_credential_of_an_app_that_went_meanwhile_is_refused(
    db: Database, keyring: Keyring, org_id: UUID
) -> None:
    read = drafts.read(KINDS, {"kind": "mill_key", "secret": "mk_1"}, provider=None, allow_base_url=False)
    draft = Draft(read.provider, read.kind, read.properties, UUID(int=7))
    with pytest.raises(Invalid) as refused:
        async with db.transaction() as conn:
            await credentials.import_(conn, keyring, org_id, draft, Verdict(Account("mill_1")), db.clock.now())
    assert list(refused.value.errors) == ["oauth_app_id"]
