"""The keyring on a real database: proven keys, one pepper, rotation with old and new side by side."""

import asyncio
import os
from collections.abc import Callable
from uuid import UUID

import pytest

from headrace.clock import DatabaseClock
from headrace.db.pool import Conn, Database
from headrace.ids import uuid7
from headrace.vault.keys import Keyring
from headrace.vault.master import KeyProblem, parse
from headrace.vault.sealing import CannotOpen, Key, identity

ROW = identity("credentials.secrets", UUID(int=1))


def masters(*secrets: bytes) -> tuple[Key, ...]:
    return parse(",".join(secret.hex() for secret in secrets), "HEADRACE_SECRET_KEY")


OLD, NEW = os.urandom(32), os.urandom(32)


async def org(conn: Conn) -> UUID:
    org_id = uuid7()
    await conn.execute(
        "insert into orgs (org_id, name, created_at) values ($1, 'o', $2)", org_id, DatabaseClock().now()
    )
    return org_id


async def test_a_secret_opens_again_in_another_process_with_the_same_master_key(db: Database) -> None:
    org_id = await org(db.api)
    sealed = await Keyring(masters(OLD)).seal(db.api, org_id, ROW, b"sk_live_1")
    assert await Keyring(masters(OLD)).open(db.api, org_id, ROW, sealed) == b"sk_live_1"


async def test_a_secret_opens_for_no_other_organisation_and_no_other_row(db: Database) -> None:
    ring = Keyring(masters(OLD))
    one, other = await org(db.api), await org(db.api)
    sealed = await ring.seal(db.api, one, ROW, b"sk_live_1")
    await ring.seal(db.api, other, ROW, b"sk_live_2")
    with pytest.raises(CannotOpen):
        await ring.open(db.api, other, ROW, sealed)
    with pytest.raises(CannotOpen):
        await ring.open(db.api, one, identity("credentials.secrets", UUID(int=2)), sealed)


async def test_a_data_key_moved_to_another_organisation_opens_nothing(db: Database) -> None:
    one, other = await org(db.api), await org(db.api)
    sealed = await Keyring(masters(OLD)).seal(db.api, one, ROW, b"sk_live_1")
    await db.api.execute("update org_keys set org_id = $2 where org_id = $1", one, other)
    with pytest.raises(CannotOpen):
        await Keyring(masters(OLD)).open(db.api, other, ROW, sealed)


async def test_data_and_master_keys_are_nowhere_in_the_database(db: Database) -> None:
    ring = Keyring(masters(OLD))
    await ring.check(db.api)
    org_id = await org(db.api)
    await ring.seal(db.api, org_id, ROW, b"x")
    key = next(iter(ring._unwrapped.values()))[0]
    rows = await db.api.fetch(
        "select row(k.*)::text as t from org_keys k union all select row(i.*)::text from instance i"
    )
    text = "".join(row["t"] for row in rows)
    assert key.secret.hex() not in text
    assert OLD.hex() not in text
    assert key.secret.hex() not in repr(ring)


async def test_an_organisations_first_key_is_made_once_under_contention(db: Database) -> None:
    org_id = await org(db.api)
    rings = [Keyring(masters(OLD)) for _ in range(6)]
    sealed = await asyncio.gather(*(ring.seal(db.api, org_id, ROW, b"%d" % n) for n, ring in enumerate(rings)))
    assert await db.api.fetchval("select count(*) from org_keys") == 1
    assert [await rings[0].open(db.api, org_id, ROW, value) for value in sealed] == [b"%d" % n for n in range(6)]


async def test_a_key_made_in_a_transaction_that_was_rolled_back_is_not_used(db: Database) -> None:
    ring, org_id = Keyring(masters(OLD)), await org(db.api)
    async with db.api.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        await ring.seal(conn, org_id, ROW, b"lost")
        await transaction.rollback()
    sealed = await ring.seal(db.api, org_id, ROW, b"kept")
    assert await Keyring(masters(OLD)).open(db.api, org_id, ROW, sealed) == b"kept"


async def test_a_removed_data_key_opens_nothing_once_the_memory_of_it_has_lapsed(db: Database) -> None:
    moment = 0.0
    ring, org_id = Keyring(masters(OLD), monotonic=lambda: moment), await org(db.api)
    sealed = await ring.seal(db.api, org_id, ROW, b"x")
    await db.api.execute("delete from org_keys")
    moment = 301.0
    with pytest.raises(CannotOpen):
        await ring.open(db.api, org_id, ROW, sealed)
    assert ring._kept(org_id, UUID(bytes=sealed[1:17])) is None


async def test_what_is_new_is_sealed_with_the_active_key_and_what_is_old_still_opens(db: Database) -> None:
    ring, org_id = Keyring(masters(OLD)), await org(db.api)
    before = await ring.seal(db.api, org_id, ROW, b"before")
    await db.api.execute("update org_keys set active = false")
    after = await ring.seal(db.api, org_id, ROW, b"after")
    assert before[1:17] != after[1:17]
    assert await ring.open(db.api, org_id, ROW, before) == b"before"
    assert await ring.open(db.api, org_id, ROW, after) == b"after"


async def test_the_check_proves_the_key(db: Database) -> None:
    await Keyring(masters(OLD)).check(db.api)
    await Keyring(masters(OLD)).check(db.api)
    with pytest.raises(KeyProblem, match="not given") as refused:
        await Keyring(masters(NEW)).check(db.api)
    assert masters(OLD)[0].id.hex in str(refused.value)
    assert OLD.hex() not in str(refused.value)
    assert NEW.hex() not in str(refused.value)


async def test_the_check_finds_a_data_key_whose_master_key_is_missing(db: Database) -> None:
    """A key taken away too early: the check value opens, but an organisation's key would not."""
    both = Keyring(masters(OLD, NEW))
    await both.check(db.api)
    await Keyring(masters(NEW, OLD)).rotate(db.api)
    await both.seal(db.api, await org(db.api), ROW, b"x")
    with pytest.raises(KeyProblem, match="not given"):
        await Keyring(masters(NEW)).check(db.api)


async def test_the_pepper_is_needed_before_a_keyed_hash() -> None:
    with pytest.raises(RuntimeError, match="check"):
        Keyring(masters(OLD)).keyed_hash("account", b"stripe")


async def test_a_keyed_hash_is_the_same_for_all_with_the_pepper_and_tells_purposes_and_parts_apart(
    db: Database,
) -> None:
    one, other = Keyring(masters(OLD)), Keyring(masters(OLD))
    await one.check(db.api)
    await other.check(db.api)
    assert one.keyed_hash("account", b"stripe", b"acct_1") == other.keyed_hash("account", b"stripe", b"acct_1")
    assert len({
        one.keyed_hash("account", b"ab", b"c"),
        one.keyed_hash("account", b"a", b"bc"),
        one.keyed_hash("account", b"abc"),
        one.keyed_hash("upsert", b"ab", b"c"),
    }) == 4  # fmt: skip


async def test_rotating_rewraps_all_and_touches_no_secret(db: Database) -> None:
    before = Keyring(masters(OLD))
    await before.check(db.api)
    orgs = [await org(db.api) for _ in range(5)]
    sealed = {org_id: await before.seal(db.api, org_id, ROW, org_id.bytes) for org_id in orgs}
    pepper = before.keyed_hash("account", b"acct_1")

    during = Keyring(masters(NEW, OLD))
    await during.check(db.api)
    assert (await during.status(db.api)).removable == ()
    assert await during.rotate(db.api) == 5
    assert await during.rotate(db.api) == 0
    status = await during.status(db.api)
    assert status.removable == (masters(OLD)[0].id.hex,)
    assert status.wraps == {masters(NEW)[0].id.hex: 7}

    after = Keyring(masters(NEW))
    await after.check(db.api)
    assert after.keyed_hash("account", b"acct_1") == pepper
    assert {org_id: await after.open(db.api, org_id, ROW, value) for org_id, value in sealed.items()} == {
        org_id: org_id.bytes for org_id in orgs
    }
    with pytest.raises(KeyProblem):
        await Keyring(masters(OLD)).check(db.api)


async def test_processes_with_the_keys_in_either_order_work_side_by_side_through_a_rotation(db: Database) -> None:
    first, second = Keyring(masters(OLD, NEW)), Keyring(masters(NEW, OLD))
    await first.check(db.api)
    await second.check(db.api)
    orgs = [await org(db.api) for _ in range(20)]
    stop = asyncio.Event()

    async def work(ring: Keyring, other: Keyring) -> int:
        rounds = 0
        while not stop.is_set() or rounds < len(orgs):
            org_id = orgs[rounds % len(orgs)]
            sealed = await ring.seal(db.api, org_id, ROW, b"%d" % rounds)
            assert await other.open(db.api, org_id, ROW, sealed) == b"%d" % rounds
            rounds += 1
        return rounds

    working = asyncio.gather(work(first, second), work(second, first))
    for _ in range(5):
        await second.rotate(db.api)
    stop.set()
    assert min(await working) >= len(orgs)
    await second.rotate(db.api)
    assert (await second.status(db.api)).removable == (masters(OLD)[0].id.hex,)


async def test_rotating_without_the_old_key_says_so_and_changes_nothing(db: Database) -> None:
    await Keyring(masters(OLD)).check(db.api)
    await Keyring(masters(OLD)).seal(db.api, await org(db.api), ROW, b"x")
    with pytest.raises(KeyProblem, match="to both"):
        await Keyring(masters(NEW)).rotate(db.api)
    assert (await Keyring(masters(NEW)).status(db.api)).missing == (masters(OLD)[0].id.hex,)


async def test_of_processes_that_start_at_once_on_a_new_database_all_have_one_pepper(
    dsn: str, db: Database, at_once: Callable[..., list[str]]
) -> None:
    program = """
import asyncio, sys, asyncpg
from headrace.vault.keys import Keyring
from headrace.vault.master import parse

async def main() -> None:
    conn = await asyncpg.connect(sys.argv[1])
    ring = Keyring(parse(sys.argv[2], "the test"))
    print("ready", flush=True)
    sys.stdin.readline()
    await ring.check(conn)
    print(ring.keyed_hash("account", b"acct_1").hex())
    await conn.close()

asyncio.run(main())
"""
    said = set(await asyncio.to_thread(at_once, program, dsn, OLD.hex()))
    assert len(said) == 1
    ring = Keyring(masters(OLD))
    await ring.check(db.api)
    assert said == {ring.keyed_hash("account", b"acct_1").hex() + "\n"}
