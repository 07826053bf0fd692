"""The runs of a sync that is read every four hours never overlap, whoever holds it, and keep what webhooks name."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from uuid import UUID

import pytest
from counting import counting
from holding import Holding, holding
from shop import Asked, Shop, open_shop
from working import make, owners

from headrace.db.pool import Database
from headrace.engine import hints, patch
from headrace.errors import Fenced
from headrace.providers.kit import Hint

PROCESS = Path(__file__).with_name("working.py")


async def worker(dsn: str) -> tuple[UUID, Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, PROCESS, dsn, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    return UUID((await process.stdout.readline()).decode().strip()), process


async def test_runs_asked_for_all_the_time_never_overlap_through_the_death_of_their_process(
    db: Database, dsn: str
) -> None:
    async with counting(answer_after_s=0.2) as server:
        made = await make(db, server.url, 1, sync_frequency="4h")
        [sync] = made.syncs
        processes = dict([await worker(dsn), await worker(dsn)])

        async def ask_until(requests: int) -> None:
            async with asyncio.timeout(60):
                while len(server.moments) < requests:
                    async with db.transaction() as conn:
                        await patch.request_run(conn, sync, db.clock.now())
                    await asyncio.sleep(0.02)

        try:
            await ask_until(5)
            holder = (await owners(db))[sync.id]
            assert holder is not None
            processes[holder].kill()
            await processes[holder].wait()
            await ask_until(len(server.moments) + 5)
        finally:
            for process in processes.values():
                if process.returncode is None:
                    process.kill()
                    await process.wait()
    assert server.most_at_once == 1


async def test_who_has_lost_the_lease_begins_no_run(db: Database) -> None:
    """And does not know it: it is asked for a run before it has looked at its leases."""
    async with open_shop() as shop:
        shop.put("order", "o1")
        async with holding(db, shop, ["order"], sync_frequency="4h") as held:
            await held.start()
            await held.read_to_the_end()
            await rest(held)
            before, asked = (await held.state())["last_run_started_at"], len(shop.asked)
            lost = held.task
            assert lost is not None
            await held.claim()
            await held.ask()
            async with asyncio.timeout(60):
                with pytest.raises(Fenced):
                    await lost
            assert len(shop.asked) == asked
            assert (await held.state())["last_run_started_at"] == before
            await held.start()
            await run_over(held, shop, asked)


async def rest(held: Holding) -> None:
    async def rests() -> bool:
        return held.runner is not None and held.runner.resting

    await held.until(rests)


async def run_over(held: Holding, shop: Shop, asked: int) -> None:
    """Wait until a run that began after so many requests was read to its end."""

    async def over() -> bool:
        started = (await held.state())["last_run_started_at"]
        rows = (await held.rows("changes")).values()
        return (
            started is not None and all(row["last_success_at"] >= started for row in rows) and len(shop.asked) > asked
        )

    await held.until(over)


async def test_a_run_that_is_asked_for_meanwhile_begins_after_the_one_under_way_and_once(db: Database) -> None:
    """One of two logs of changes is slow."""
    async with open_shop() as shop:
        shop.put("order", "o1")
        shop.put("document", "d1")
        async with holding(db, shop, ["order", "document"], sync_frequency="4h") as held:
            await held.start()
            await held.read_to_the_end()
            await rest(held)
            go_on = asyncio.Event()

            def hold(asked: Asked) -> object:
                return go_on.wait() if "since" in asked.query else None

            shop.before = hold
            asked = len(shop.asked)
            await held.ask()

            async def under_way() -> bool:
                return any("since" in each.query for each in shop.asked[asked:])

            await held.until(under_way)
            started = (await held.state())["last_run_started_at"]
            for _ in range(3):
                await held.ask()
                await asyncio.sleep(0.1)
            assert (await held.state())["last_run_started_at"] == started
            go_on.set()

            async def one_more() -> bool:
                state = await held.state()
                return bool(state["last_run_started_at"] >= state["run_requested_at"] > started)

            await held.until(one_more)


async def test_what_a_webhook_names_is_kept_for_the_next_run(db: Database) -> None:
    async with open_shop() as shop:
        shop.put("document", "d1")
        shop.put("document", "d2")
        async with holding(db, shop, ["document"], sync_frequency="4h") as held:
            await held.start()
            await held.read_to_the_end()
            shop.remove("document", "d1")
            asked = await named(held, shop, "d1")
            await asyncio.sleep(0.3)
            assert len(shop.asked) == asked
            await held.ask()
            await fetched_and_gone(held, shop, "d1")


async def test_what_a_webhook_names_is_fetched_at_once_however_seldom_a_sync_is_read(db: Database) -> None:
    """The next reading of what changes would come in an hour, and tell nothing of what is deleted."""
    async with open_shop() as shop:
        shop.put("document", "d1")
        shop.put("document", "d2")
        async with holding(db, shop, ["document"], max_poll_ms=3_600_000) as held:
            await held.start()
            await held.read_to_the_end()
            shop.remove("document", "d1")
            await named(held, shop, "d1")
            await fetched_and_gone(held, shop, "d1")


async def named(held: Holding, shop: Shop, key: str) -> int:
    """A webhook names a document of a sync that rests; how often the provider was asked before."""
    await rest(held)
    asked = len(shop.asked)
    async with held.db.transaction() as conn:
        await hints.take(conn, held.sync, [Hint("shop:document", key)], held.db.clock.now())
    assert held.runner is not None
    held.runner.hint()
    return asked


async def fetched_and_gone(held: Holding, shop: Shop, key: str) -> None:
    async def gone() -> bool:
        return shop.count(f"/document/{key}") > 0 and await held.copy("shop:document") == shop.things["document"]

    await held.until(gone)
