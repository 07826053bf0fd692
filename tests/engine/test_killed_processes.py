"""A worker's process killed by SIGKILL after each word of the database and of the provider, and another taking over:
the stream equals the provider, with no version lost, doubled or out of order."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from mortal import Moment, MortalWorker
from processes import copy_of_database, dice, differences, start_sync
from pydantic import SecretStr

from headrace.client import AsyncClient, Sync
from headrace.db.pool import Database
from headrace.engine.checkpoints import SweepMark, put, write
from headrace.server import running
from headrace.settings import Settings
from headrace.stream.read import head
from headrace.testing.stripe import StripeServer

HELD = {"customers": 205, "charges": 105, "products": 8, "invoices": 6}
AT_ONCE = 8
SAMPLE = 3
MOST = 6
"""So many times in a process a thing is a moment of its own: what repeats more often is a loop that asks again."""
SWEPT = "stripe:customer"
TOLD, UNTOLD = 6, 2
"""Changes of a life that the provider tells, and those that only a sweep finds."""
SETTINGS: dict[str, Any] = {
    "secret_key": "0" * 64,
    "api_token": "hr_test_token",
    "allow_base_url": True,
    "limits_override": "none",
    "lease_ttl_s": 3.0,
    "port": 0,
}


class Death(NamedTuple):
    """In which shift of a life, and when."""

    shift: int
    moment: Moment


class Life:
    """An account, its sync, and the worker that holds it; somebody outside looks on."""

    def __init__(
        self, folder: Path, db: Database, provider: StripeServer, api: AsyncClient, death: Death | None
    ) -> None:
        folder.mkdir()
        self.db, self.provider, self.api = db, provider, api
        self.deaths = 0
        self.passed: list[Counter[str]] = []
        """What the first worker of each shift has told."""
        self._folder, self._death = folder, death
        self._settings = {**SETTINGS, "database_url": db.dsn, "role": "worker"}
        self._worker: MortalWorker | None = None
        self._cursor: str | None = None
        self._seen: dict[tuple[str, str], Any] = {}
        self._last = 0

    async def work(self, shift: int, doing: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A worker is started, and stopped when `doing` is done; if it is killed before, another takes over."""
        last = self._death.moment if self._death is not None and self._death.shift == shift else None
        told = self._folder / f"shift-{shift}"
        self._start(last, told)
        watching, work = asyncio.create_task(self._replace()), asyncio.create_task(doing())
        await asyncio.wait({watching, work}, return_when=asyncio.FIRST_COMPLETED)
        for task in (watching, work):
            task.cancel()
        for ended in await asyncio.gather(watching, work, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        assert self._worker is not None
        if self._worker.killed or await self._worker.stop():
            self.deaths += 1
        self._worker = None
        self.passed.append(Counter(told.read_text().splitlines()))

    def _start(self, last: Moment | None, told: Path) -> None:
        self._worker = MortalWorker(self._settings, last, told, self._folder / "log")
        self._worker.start()

    async def _replace(self) -> None:
        while True:
            assert self._worker is not None
            if self._worker.killed:
                self.deaths += 1
                self._start(None, self._folder / "successor")
            await asyncio.sleep(0.02)

    async def same(self, sync: Sync, versions: int) -> None:
        """Wait until the stream has so many versions, and holds what the provider holds."""
        async with asyncio.timeout(180):
            while await self.versions(sync) < versions or await differences(self.api, sync, self.provider):
                await asyncio.sleep(0.1)

    async def versions(self, sync: Sync) -> int:
        """How many numbers the stream has given."""
        async with self.db.api.acquire() as conn:
            return await head(conn, UUID(sync["stream_id"]))

    async def follow(self, sync: Sync) -> None:
        """Read on by cursor: each version comes after those before it, and says something new of its record."""
        more = True
        while more:
            page = await self.api.records.page(self._cursor, stream_id=sync["stream_id"], limit=1000)
            for each in page["records"]:
                key = (each["collection_id"], each["upstream_id"])
                said = None if each["deleted"] else each["data"]
                assert each["updated_idx"] > self._last
                assert key not in self._seen or self._seen[key] != said, key
                self._last, self._seen[key] = each["updated_idx"], said
            self._cursor, more = page["cursor"], bool(page["records"])

    async def end(self) -> None:
        if self._worker is not None:
            await self._worker.kill()


@asynccontextmanager
async def begun(template_url: str, folder: Path, death: Death | None) -> AsyncIterator[tuple[Life, Sync]]:
    async with copy_of_database(template_url) as url, StripeServer(HELD) as provider:
        settings = Settings(**SETTINGS, database_url=SecretStr(url), role="api")
        async with running(settings) as server, AsyncClient(server.url, SETTINGS["api_token"]) as api:
            life = Life(folder, server.services.db, provider, api, death)
            try:
                yield life, await start_sync(api, provider.base_url, max_poll_ms=500)
            finally:
                await life.end()


async def live(template_url: str, folder: Path, death: Death | None) -> Life:
    """Two shifts: a backfill and changes of every kind; then, of what nobody tells, what a sweep finds."""
    async with begun(template_url, folder, death) as (life, sync):
        account = life.provider.account
        ids = {name: list(account.ids(name)) for name in HELD}
        made = sum(account.count(name) for name in HELD)

        async def first() -> None:
            await life.same(sync, made)
            await life.follow(sync)
            account.update("customers", ids["customers"][0], {"name": "Changed"})
            account.delete("customers", ids["customers"][1])
            account.update("charges", ids["charges"][0], {"description": "Changed"})
            account.update("products", ids["products"][0], {"name": "Changed"})
            account.create("customers", {"name": "Born"})
            account.create("invoices", {"customer": ids["customers"][2]}, children=12)
            await life.same(sync, made + TOLD)

        async def second() -> None:
            account.delete("customers", ids["customers"][3], silent=True)
            account.update("customers", ids["customers"][4], {"name": "Changed in silence"}, silent=True)
            await life.same(sync, made + TOLD + UNTOLD)

        await life.work(1, first)
        await life.follow(sync)
        due = write("sweep", SWEPT, SweepMark(due_at=life.db.clock.now()), SWEPT)
        async with life.db.transaction() as conn:
            await put(conn, UUID(sync["stream_id"]), UUID(sync["id"]), due)
        await life.work(2, second)
        await life.follow(sync)
        assert await differences(life.api, sync, life.provider) == {}
        assert await life.versions(sync) == made + TOLD + UNTOLD
    return life


async def moments(template_url: str, folder: Path) -> list[Death]:
    """All that happen in a life that nobody ends, each as a death."""
    life = await live(template_url, folder, None)
    assert life.deaths == 0
    return [
        Death(shift, Moment(name, number))
        for shift, passed in enumerate(life.passed, 1)
        for name, times in sorted(passed.items())
        for number in range(1, min(times, MOST) + 1)
    ]


async def die(template_url: str, folder: Path, deaths: list[Death]) -> int:
    """A life with each of these deaths; how many of them came. Some moments come by the clock, not in every life."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, death: Death) -> int:
        async with room:
            try:
                return (await live(template_url, folder / f"{number}", death)).deaths
            except Exception as error:
                error.add_note(f"killed at {death}; see {folder / f'{number}'}")
                raise

    ended = await asyncio.gather(*(one(number, death) for number, death in enumerate(deaths)), return_exceptions=True)
    if errors := [each for each in ended if isinstance(each, Exception)]:
        raise ExceptionGroup(f"{len(errors)} of {len(deaths)} lives went wrong", errors)
    return sum(each for each in ended if isinstance(each, int))


async def test_a_process_that_is_killed_loses_doubles_and_reorders_nothing(template_url: str, tmp_path: Path) -> None:
    """At some of its moments, others in every run."""
    chosen = dice().sample(await moments(template_url, tmp_path / "undisturbed"), SAMPLE)
    assert await die(template_url, tmp_path, chosen) > 0, chosen


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_killed_at_every_moment(template_url: str, tmp_path: Path) -> None:
    every = await moments(template_url, tmp_path / "undisturbed")
    assert {death.shift for death in every} == {1, 2}
    assert any("append.append: COMMIT" in death.moment.name for death in every)
    assert any("GET /v1/customers" in death.moment.name for death in every)
    came = await die(template_url, tmp_path, every)
    print(f"{came} of {len(every)} deaths came")
    assert came > 0.8 * len(every)
