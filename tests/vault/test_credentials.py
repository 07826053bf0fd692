"""Credentials on a real database: importing twice leaves one, the account stays the same, secrets stay sealed."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from mill import KEY, KINDS

from headrace.db.pool import Database
from headrace.errors import ImplementationError, Invalid, NotFound
from headrace.ids import uuid7
from headrace.vault import credentials, drafts
from headrace.vault.credentials import Credential, Filters
from headrace.vault.drafts import Verdict
from headrace.vault.keys import Keyring
from headrace.vault.kinds import Account

UNASKED = Verdict(None, "ok")


class Vault:
    """The vault's calls in transactions of their own, for one organisation."""

    def __init__(self, db: Database, keyring: Keyring, org_id: UUID) -> None:
        self.db, self.keyring, self.org_id = db, keyring, org_id

    async def import_(
        self, *, account: Account | str | None = "mill_1", kind: str = "mill_key", name: str | None = None, **given: Any
    ) -> Credential:
        draft = drafts.read(KINDS, {"kind": kind, **given}, provider=None, allow_base_url=True)
        draft = type(draft)(draft.provider, draft.kind, draft.properties, None, name, None)
        found = Account(account) if isinstance(account, str) else account
        async with self.db.transaction() as conn:
            return await credentials.import_(
                conn, self.keyring, self.org_id, draft, Verdict(found), self.db.clock.now()
            )

    async def reauthorise(
        self, held: Credential, *, account: Account | str | None = "mill_1", **given: Any
    ) -> Credential:
        found = Account(account) if isinstance(account, str) else account
        async with self.db.transaction() as conn:
            before = await credentials.open_properties(conn, self.keyring, held)
            properties = drafts.revise(KINDS, KEY, before, given, allow_base_url=True)
            return await credentials.reauthorise(
                conn, self.keyring, held, KEY, properties, Verdict(found), self.db.clock.now()
            )

    async def opened(self, credential: Credential) -> dict[str, Any]:
        async with self.db.api.acquire() as conn:
            return await credentials.open_properties(conn, self.keyring, credential)

    async def get(self, credential_id: UUID) -> Credential:
        async with self.db.api.acquire() as conn:
            return await credentials.get(conn, self.org_id, credential_id)

    async def all(self, filters: Filters = credentials.NO_FILTERS, **page: Any) -> list[Credential]:
        async with self.db.api.acquire() as conn:
            return await credentials.list_(conn, self.org_id, filters, **{"limit": 100, **page})


@pytest.fixture
def vault(db: Database, keyring: Keyring, org_id: UUID) -> Vault:
    return Vault(db, keyring, org_id)


async def make_sync(db: Database, credential: Credential, *, deleted: bool = False) -> UUID:
    now, stream_id, sync_id = db.clock.now(), uuid7(), uuid7()
    await db.api.execute(
        "insert into streams (org_id, id, slug, created_at, updated_at) values ($1, $2, $3, $4, $4)",
        credential.org_id, stream_id, stream_id.hex, now,
    )  # fmt: skip
    await db.api.execute(
        "insert into syncs (org_id, id, stream_id, provider, credential_id, name, status, collection_ids,"
        " sync_frequency, max_poll_ms, deleted_at, created_at, updated_at)"
        " values ($1, $2, $3, 'mill', $4, 's', 'active', '{mill:flour}', 'continuous', 60000, $5, $6, $6)",
        credential.org_id, sync_id, stream_id, credential.id, now if deleted else None, now,
    )  # fmt: skip
    return sync_id


async def test_what_was_imported_is_read_back_and_its_secret_is_sealed(vault: Vault) -> None:
    made = await vault.import_(secret="mk_1", name="East", wheels=[1, 2])
    assert await vault.get(made.id) == made
    assert made.properties == {"wheels": [1, 2], "test": False}
    assert credentials.masked(made) == {"kind": "mill_key", "wheels": [1, 2], "test": False, "secret": "***********"}
    assert await vault.opened(made) == {"wheels": [1, 2], "test": False, "secret": "mk_1"}
    assert (made.account_id, made.revision, made.health_status, made.metadata) == ("mill_1", 1, "ok", "{}")
    assert "mk_1" not in repr(made)


async def test_importing_the_same_account_again_updates_the_one_credential(vault: Vault) -> None:
    first = await vault.import_(secret="mk_1", name="East")
    again = await vault.import_(secret="mk_2")
    assert (again.id, again.created_at, again.name) == (first.id, first.created_at, "East")
    assert again.revision == first.revision + 1
    assert again.updated_at > first.updated_at
    assert (await vault.opened(again))["secret"] == "mk_2"
    assert len(await vault.all()) == 1


async def test_importing_the_very_same_changes_nothing(vault: Vault) -> None:
    first = await vault.import_(secret="mk_1", name="East")
    assert await vault.import_(secret="mk_1", name="East") == first
    assert await vault.get(first.id) == first


async def test_another_account_or_mode_is_another_credential(vault: Vault) -> None:
    one = await vault.import_(secret="mk_1")
    other_account = await vault.import_(secret="mk_2", account="mill_2")
    test_mode = await vault.import_(secret="mk_test_1", account=Account("mill_1", mode="test"))
    assert len({one.id, other_account.id, test_mode.id}) == 3
    assert len({one.account_hash, other_account.account_hash, test_mode.account_hash}) == 3
    assert [credentials.mode(each) for each in (one, other_account, test_mode)] == ["live", "live", "test"]


async def test_a_narrow_secret_belongs_to_the_identity(vault: Vault) -> None:
    one = await vault.import_(secret="mk_1", account=Account("mill_1", narrow=True))
    other = await vault.import_(secret="mk_2", account=Account("mill_1", narrow=True))
    whole = await vault.import_(secret="mk_3", account="mill_1")
    again = await vault.import_(secret="mk_2", account=Account("mill_1", narrow=True))
    assert len({one.id, other.id, whole.id}) == 3
    assert again.id == other.id
    assert len({one.account_hash, other.account_hash, whole.account_hash}) == 1


async def test_while_the_account_is_unknown_the_same_secret_is_the_same_credential(vault: Vault) -> None:
    unknown = await vault.import_(secret="mk_1", account=None)
    assert unknown.account_id is None
    assert (await vault.import_(secret="mk_1", account=None)).id == unknown.id
    assert (await vault.import_(secret="mk_2", account=None)).id != unknown.id
    known = await vault.import_(secret="mk_1", account="mill_1")
    assert (known.id, known.account_id) == (unknown.id, "mill_1")
    assert known.account_hash != unknown.account_hash


async def test_a_known_credential_given_again_unasked_keeps_what_was_learned(vault: Vault) -> None:
    known = await vault.import_(secret="mk_1", account=Account("mill_1", {"name": "East Mill"}, narrow=True))
    again = await vault.import_(secret="mk_1", account=None)
    assert (again.id, again.account_id, again.properties["name"]) == (known.id, "mill_1", "East Mill")
    assert (again.upsert_key, again.account_hash) == (known.upsert_key, known.account_hash)
    assert again.revision == known.revision


async def test_an_account_that_the_provider_does_not_name_is_unknown(vault: Vault) -> None:
    unnamed = await vault.import_(secret="mk_1", account=Account("", narrow=True))
    assert unnamed.account_id is None
    assert (await vault.import_(secret="mk_1", account=Account("", narrow=True))).id == unnamed.id
    named = await vault.import_(secret="mk_1", account=Account("mill_1", narrow=True))
    renewed = await vault.reauthorise(named, secret="mk_2", account=Account("", narrow=True))
    assert (renewed.id, renewed.account_id) == (unnamed.id, "mill_1")


async def test_the_same_account_at_another_development_address_is_another(vault: Vault) -> None:
    real = await vault.import_(secret="mk_1")
    here = await vault.import_(secret="mk_1", base_url="http://127.0.0.1:1/a")
    there = await vault.import_(secret="mk_1", base_url="http://127.0.0.1:2")
    same = await vault.import_(secret="mk_1", base_url="http://127.0.0.1:1/b")
    assert len({real.id, here.id, there.id}) == len({real.account_hash, here.account_hash, there.account_hash}) == 3
    assert same.id == here.id


async def test_organisations_share_no_credential_but_the_ledgers_key(
    vault: Vault, db: Database, keyring: Keyring, make_org: Callable[[], Awaitable[UUID]]
) -> None:
    elsewhere = Vault(db, keyring, await make_org())
    ours, theirs = await vault.import_(secret="mk_1"), await elsewhere.import_(secret="mk_1")
    assert ours.id != theirs.id
    assert ours.account_hash == theirs.account_hash
    with pytest.raises(NotFound):
        await elsewhere.get(ours.id)
    assert [each.id for each in await elsewhere.all()] == [theirs.id]


async def test_imports_of_one_account_at_once_leave_one_credential(vault: Vault) -> None:
    made = await asyncio.gather(*(vault.import_(secret=f"mk_{n}") for n in range(6)))
    assert len({each.id for each in made}) == 1
    [stored] = await vault.all()
    assert stored.revision == 6
    assert (await vault.opened(stored))["secret"] in {f"mk_{n}" for n in range(6)}


async def test_what_the_provider_said_is_put_right_test_mode_included(vault: Vault) -> None:
    account = Account("mill_1", {"name": "East Mill", "secret": "mk_rotated"}, mode="test")
    made = await vault.import_(secret="mk_1", name="mine", test=False, account=account)
    assert await vault.opened(made) == {"name": "East Mill", "secret": "mk_rotated", "test": True}
    unasked = await vault.import_(secret="mk_test_9", account=None)
    assert credentials.mode(unasked) == "test"


async def test_a_mode_is_kept_where_no_property_tells_it(vault: Vault) -> None:
    given = {"kind": "mill_login", "user": "u", "password": "p", "base_url": "https://mill.example"}
    draft = drafts.read(KINDS, given, provider=None, allow_base_url=False)
    async with vault.db.transaction() as conn:
        account = Account("u", mode="test")
        made = await credentials.import_(
            conn, vault.keyring, vault.org_id, draft, Verdict(account), vault.db.clock.now()
        )
    assert credentials.mode(made) == "test"
    assert "test" not in made.properties
    assert credentials.mode(await vault.get(made.id)) == "test"


async def test_a_connector_that_tells_another_mode_is_told(vault: Vault) -> None:
    with pytest.raises(ImplementationError, match="sandbox"):
        await vault.import_(secret="mk_1", account=Account("mill_1", mode="sandbox"))


async def test_a_connector_that_learns_what_its_schema_does_not_know_is_told(vault: Vault) -> None:
    with pytest.raises(ImplementationError, match="colour"):
        await vault.import_(secret="mk_1", account=Account("mill_1", {"colour": "red"}))


async def test_reauthorising_replaces_the_secret_of_the_same_account(vault: Vault) -> None:
    held = await vault.import_(secret="mk_1", spare="mk_s", name="East")
    renewed = await vault.reauthorise(held, secret="mk_2", spare=None)
    assert (renewed.id, renewed.revision) == (held.id, held.revision + 1)
    assert await vault.opened(renewed) == {"secret": "mk_2", "test": False}
    assert renewed.secret_names == {"secret"}
    assert (await vault.import_(secret="mk_3")).id == held.id


@pytest.mark.parametrize("account", [Account("mill_2"), Account("mill_1", mode="test")])
async def test_reauthorising_with_another_account_is_refused(vault: Vault, account: Account) -> None:
    held = await vault.import_(secret="mk_1")
    with pytest.raises(Invalid) as refused:
        await vault.reauthorise(held, secret="mk_2", account=account)
    assert list(refused.value.errors) == ["properties.secret"]
    assert "mk_2" not in str(refused.value.errors)
    assert await vault.get(held.id) == held


async def test_reauthorising_a_narrow_credential_unasked_keeps_it_narrow(vault: Vault) -> None:
    held = await vault.import_(secret="mk_1", account=Account("mill_1", narrow=True))
    renewed = await vault.reauthorise(held, secret="mk_2", account=None)
    assert renewed.account_id == "mill_1"
    assert (await vault.import_(secret="mk_2", account=Account("mill_1", narrow=True))).id == held.id
    assert (await vault.import_(secret="mk_3", account=Account("mill_1"))).id != held.id


async def test_reauthorising_from_a_stale_picture_is_refused(vault: Vault) -> None:
    stale = await vault.import_(secret="mk_1")
    await vault.reauthorise(stale, secret="mk_2")
    with pytest.raises(Invalid, match="Validation failed") as refused:
        await vault.reauthorise(stale, secret="mk_3")
    assert list(refused.value.errors) == ["properties"]


async def test_reauthorising_into_another_credentials_identity_is_refused(vault: Vault) -> None:
    one = await vault.import_(secret="mk_1", account=None)
    await vault.import_(secret="mk_2", account="mill_2")
    with pytest.raises(Invalid) as refused:
        await vault.reauthorise(one, secret="mk_3", account="mill_2")
    assert "use that one" in refused.value.errors["properties"][0]


async def test_a_new_secret_wakes_the_syncs_that_use_it(vault: Vault, db: Database) -> None:
    held = await vault.import_(secret="mk_1")
    sync_id = await make_sync(db, held)
    await make_sync(db, held, deleted=True)
    heard: asyncio.Queue[str] = asyncio.Queue()
    await db.listen("headrace_sync", heard.put_nowait)
    await vault.import_(secret="mk_1")
    await vault.import_(secret="mk_2")
    assert await asyncio.wait_for(heard.get(), 60) == str(sync_id)
    assert heard.empty()


async def test_a_secret_that_no_longer_opens_is_healed_by_importing_it_again(vault: Vault, db: Database) -> None:
    held = await vault.import_(secret="mk_1")
    await db.api.execute("update credentials set secrets = '\\x01'")
    healed = await vault.import_(secret="mk_1")
    assert healed.id == held.id
    assert (await vault.opened(await vault.get(held.id)))["secret"] == "mk_1"


async def test_name_and_metadata_change_alone_and_only_when_they_differ(vault: Vault, db: Database) -> None:
    held = await vault.import_(secret="mk_1", name="East")
    async with db.transaction() as conn:
        now = db.clock.now() + timedelta(seconds=1)
        same = await credentials.describe(conn, held, name="East", metadata="{}", now=now)
        other = await credentials.describe(conn, held, name=None, metadata='{"a":1.0}', now=now)
    assert same == held
    assert (other.name, other.metadata, other.updated_at, other.revision) == (None, '{"a":1.0}', now, held.revision)
    assert await vault.get(held.id) == other


async def test_health_keeps_the_time_since_when_it_holds(vault: Vault, db: Database) -> None:
    held = await vault.import_(secret="mk_1")
    first, later = held.health_at + timedelta(seconds=1), held.health_at + timedelta(seconds=9)
    async with db.transaction() as conn:
        for moment in (first, later):
            await credentials.set_health(conn, held.org_id, held.id, "error", ["the provider refuses it"], moment)
    ill = await vault.get(held.id)
    assert (ill.health_status, ill.health_notes, ill.health_at) == ("error", ("the provider refuses it",), first)
    assert [each.id for each in await vault.all(Filters(health_status="error"))] == [held.id]
    assert await vault.all(Filters(health_status="ok")) == []


async def test_lists_are_filtered_and_paged(vault: Vault, db: Database) -> None:
    made = [await vault.import_(secret=f"mk_{n}", account=f"mill_{n}") for n in range(4)]
    made.sort(key=lambda credential: credential.id)
    async with db.transaction() as conn:
        await credentials.describe(conn, made[2], name=None, metadata='{"a": {"b": [1, 2]}}', now=db.clock.now())
    ids = [each.id for each in made]
    assert [each.id for each in await vault.all()] == ids
    assert [each.id for each in await vault.all(limit=2, after=ids[0])] == ids[1:3]
    assert [each.id for each in await vault.all(Filters(metadata='{"a": {"b": [2]}}'))] == [ids[2]]
    assert await vault.all(Filters(metadata='{"a": {"c": 1}}')) == []
    assert len(await vault.all(Filters(provider="mill", kind="mill_key"))) == 4
    assert await vault.all(Filters(kind="mill_login")) == []


async def test_a_credential_in_use_is_not_deleted_one_out_of_use_is(vault: Vault, db: Database) -> None:
    used, free = await vault.import_(secret="mk_1"), await vault.import_(secret="mk_2", account="mill_2")
    sync_id = await make_sync(db, used)
    await make_sync(db, free, deleted=True)
    async with db.transaction() as conn:
        await credentials.delete(conn, free.org_id, free.id)
    with pytest.raises(Invalid) as refused:
        async with db.transaction() as conn:
            await credentials.delete(conn, used.org_id, used.id)
    assert str(sync_id) in refused.value.errors["id"][0]
    assert [each.id for each in await vault.all()] == [used.id]
    with pytest.raises(NotFound):
        async with db.transaction() as conn:
            await credentials.delete(conn, free.org_id, free.id)
