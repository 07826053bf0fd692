"""Pace: how much of a limit is used when there is always work, counted at a server, with one, two and four processes;
and whether any window held more than the limit.

python -m bench.pace [--quick]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from uuid import UUID

import aiohttp
from aiohttp import web

from bench.report import check, figure
from headrace.db.launcher import EmbeddedPostgres
from headrace.db.migrate import migrate
from headrace.db.pool import Database
from headrace.engine.access import Access
from headrace.engine.pace import Pace, Priority
from headrace.http import Request, Response
from headrace.ids import uuid7
from headrace.providers.kit import Account, CredentialKind, Limit, LimitPolicy, Provider
from headrace.settings import Settings

_AT_ONCE = 16
_SLACK_S = 0.25


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--client", nargs=3, metavar=("DSN", "URL", "ALLOWED"), help="be one of the processes")
    chosen = parser.parse_args()
    if chosen.client:
        await _client(*chosen.client)
        return
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        dsn = await postgres.start()
        await migrate(dsn)
        try:
            for allowed in (50,) if chosen.quick else (10, 50, 500):
                for processes in (1, 2, 4):
                    await _measure(dsn, allowed, processes, 5.0 if chosen.quick else 15.0)
        finally:
            await postgres.stop()


async def _measure(dsn: str, allowed: int, processes: int, seconds: float) -> None:
    moments: list[float] = []

    async def note(request: web.Request) -> web.Response:
        moments.append(time.monotonic())
        return web.Response()

    app = web.Application()
    app.router.add_get("/", note)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    command = [sys.executable, "-m", "bench.pace", "--client", dsn, f"http://127.0.0.1:{runner.addresses[0][1]}/"]
    clients = [await asyncio.create_subprocess_exec(*command, str(allowed)) for _ in range(processes)]
    while len(moments) < allowed:
        await asyncio.sleep(0.05)
    await asyncio.sleep(2.0)  # until all of them ask
    began, before = time.monotonic(), len(moments)
    await asyncio.sleep(seconds)
    used = (len(moments) - before) / (time.monotonic() - began) / allowed
    for client in clients:
        client.kill()
        await client.wait()
    await runner.cleanup()
    most = _most(moments, 1.0 - _SLACK_S)
    check(most <= allowed, f"{most} requests in {1.0 - _SLACK_S} s where {allowed} a second are allowed")
    figure(f"{allowed} a second, {processes} process(es): of it used", 100 * used, "%", at_least=85)


def _most(moments: list[float], window_s: float) -> int:
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


async def _client(dsn: str, url: str, allowed: str) -> None:
    """Ask as fast as the pace lets, for ever."""
    kind = CredentialKind(kind="none", schema={}, secret=frozenset(), sign=_unsigned, verify=_nobody)
    provider = Provider(
        slug="bench",
        name="Bench",
        base_url=lambda properties: "https://bench.example.com",
        hosts=("bench.example.com",),
        kinds=(kind,),
        limits=LimitPolicy(limits=(Limit(float(allowed), 1.0),)),
        collections=(),
        fault=lambda response: None,
        default_rate_limit=lambda mode: (1_000_000, 1),
    )
    access = Access(UUID(int=1), UUID(int=2), provider, kind, {}, f"account {allowed}".encode())
    pace = Pace(await Database.open(dsn, api_size=4, ingest_size=1), uuid7(), Settings())
    async with aiohttp.ClientSession() as session:

        async def one() -> None:
            while True:
                async with pace.permit(access, None, Request("/"), Priority.BACKFILL), session.get(url) as response:
                    await response.read()

        await asyncio.gather(*(one() for _ in range(_AT_ONCE)))


def _unsigned(request: Request, properties: object, now: object) -> Request:
    return request


def _nobody(properties: object, now: object) -> Generator[Request, Response, Account]:
    yield Request("/")
    return Account(id="bench")


if __name__ == "__main__":
    asyncio.run(main())
